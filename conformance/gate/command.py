"""`conformance gate`: gather, judge, tell.

It reads arguments and chooses; what is wrong is found in `verdict.py`, how it is shown is in `rendering.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.loading import unknown
from conformance.outcome import Exit
from specs import LockError, SpecError

from . import baseline, evidence, kit
from .base import BaseError
from .codes import CODES
from .document_rules import unreadable
from .evidence import EvidenceError
from .facts import Evidence
from .fixing import fix_lock, fix_pins
from .gathering import Sources, gather
from .rendering import FORMS, explained, listing
from .verdict import judge, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

ABOUT = """\
Tell whether specification, lock, checks, tests, broken adapters and code agree.

  conformance gate                          judge the project in this folder
  conformance gate --base main              what a pull request changes, too
  conformance gate --explain SPEC010        what a code means and what to do
  conformance gate --format github          annotate a pull request

The checks are run against the kit's adapters, which takes seconds. --evidence adds what was run elsewhere: the tests
(pytest -p conformance.gate.recording --gate-evidence FILE), or the broken adapters (--hunt --record FILE)."""


TEMPLATES = {path.stem: path for path in sorted((Path(__file__).parent / "templates").iterdir())}
"""Name -> file that projects which use the kit can copy."""


class GateArguments(argparse.Namespace):
    """What was given on the command line."""

    root: Path
    specs: Path | None
    tests: Path | None
    evidence: list[Path]
    adapter: list[str]
    baseline: Path | None
    base: str
    no_run: bool
    hunt: bool
    record: Path | None
    fix: bool
    pin: list[str]
    format: str
    output: Path | None
    explain: str | None
    template: Path | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser the arguments of the gate, and say what it is for."""
    parser.description = ABOUT
    add = parser.add_argument
    add("--root", type=Path, default=Path(), metavar="DIR", help="folder of the project (default: here)")
    add("--specs", type=Path, metavar="DIR", help="its documents (default: specs)")
    add("--tests", type=Path, metavar="DIR", help="its tests (default: tests)")
    add("--base", default="", metavar="REF", help="compare with a revision of the repository, or with a lock file")
    add("--adapter", action="append", default=[], choices=kit.ADAPTERS, metavar="NAME", help="play only this adapter")
    add("--no-run", action="store_true", help="play nothing; count only what --evidence has")
    add("--hunt", action="store_true", help="hunt every broken adapter too; takes longer than all the rest")
    add("--evidence", action="append", default=[], type=Path, metavar="FILE", help="count what was run elsewhere")
    add("--record", type=Path, metavar="FILE", help="write what was run here as evidence")
    add("--baseline", type=Path, metavar="FILE", help=f"known failures (default: {baseline.FILE}, if it is there)")
    add("--fix", action="store_true", help="bring the lock up to date first, and pin new checks; nothing else changes")
    add("--pin", action="extend", default=[], type=_ids, metavar="CHECK", help="confirm that a check, or several with "
        "commas between, tests what its requirements say now")  # fmt: skip
    add("--format", choices=FORMS, default="text", metavar="FORM", help=f"one of: {', '.join(FORMS)} (default text)")
    add("--output", type=Path, metavar="FILE", help="write them to a file (- for here)")
    add("--explain", nargs="?", const="", metavar="CODE", help="explain a code, or list all of them, and stop")
    add("--template", type=_template, metavar="NAME", help=f"print a file for your project: {', '.join(TEMPLATES)}")


def gate(arguments: GateArguments) -> Exit:
    """Run the gate; returns the exit code."""
    if arguments.template is not None:
        sys.stdout.write(arguments.template.read_text(encoding="utf-8"))
        return Exit.CONFORMING
    try:
        return _gate(arguments) if arguments.explain is None else _explain(arguments.explain)
    except (BaseError, EvidenceError) as error:
        sys.stderr.write(f"conformance gate: {error}\n")
        return Exit.USAGE
    except Exception:  # noqa: BLE001 - the one place that tells the gate's own faults from those of the project
        sys.stderr.write(f"conformance gate: this is a fault of the gate\n{traceback.format_exc()}")
        return Exit.KIT_ERROR


def _gate(arguments: GateArguments) -> Exit:
    sources = _sources(arguments)
    _expect_places(arguments, sources)
    try:
        if arguments.fix or arguments.pin:
            fix_lock(sources.documents)
        project = gather(sources)
    except SpecError as error:
        found = verdict(unreadable(error))
        _write(arguments, FORMS[arguments.format](found, None))
        return found.exit_code
    except LockError as error:
        raise BaseError(str(error)) from None
    if arguments.fix or arguments.pin:
        project = fix_pins(sources, project, arguments.pin)
    if arguments.record is not None:
        _write_file(arguments.record, evidence.text(project.evidence, project.spec))
    found = judge(project)
    _write(arguments, FORMS[arguments.format](found, project))
    return found.exit_code


def _explain(text: str) -> Exit:
    id = text.upper()
    if id and id not in CODES:
        raise BaseError(f"--explain: {unknown('code', id, CODES)}")
    sys.stdout.write(explained(CODES[id]) if id else listing())
    return Exit.CONFORMING


def _expect_places(arguments: GateArguments, sources: Sources) -> None:
    """Raise for a folder or a file that is named and not there: nothing would be found in it, and nothing be wrong."""
    if not arguments.root.is_dir():
        raise BaseError(f"there is no folder {arguments.root}")
    if not sources.documents.is_dir():
        raise BaseError(f"there is no folder {sources.documents}; name the one of the documents with --specs")
    if arguments.tests is not None and not arguments.tests.is_dir():
        raise BaseError(f"there is no folder {arguments.tests}")
    for path in (path for path in (arguments.baseline, *arguments.evidence) if path is not None):
        if not path.is_file():
            raise BaseError(f"there is no file {path}")


def _sources(arguments: GateArguments) -> Sources:
    known = arguments.root / baseline.FILE
    return Sources(
        root=arguments.root,
        documents=arguments.specs or arguments.root / "specs",
        tests=arguments.tests or arguments.root / "tests",
        today=date.today(),  # noqa: DTZ011 - dates of exclusions are those of whoever reads them
        evidence=arguments.evidence,
        baseline=arguments.baseline or (known if known.exists() else None),
        base=arguments.base,
        play=_play(arguments),
    )


def _play(arguments: GateArguments) -> Callable[[], Evidence] | None:
    if arguments.no_run:
        return None
    played = partial(kit.play, arguments.adapter or kit.ADAPTERS)
    if not arguments.hunt:
        return played
    return lambda: Evidence(checks=played().checks, mutants=kit.hunt_all())


def _write(arguments: GateArguments, text: str) -> None:
    if arguments.output is None or str(arguments.output) == "-":
        _print(text)
    else:
        _write_file(arguments.output, text)


def _print(text: str) -> None:
    """Print a verdict; that a reader wants no more of it, as in `conformance gate | head`, makes it no other one."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _write_file(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BaseError(f"{path} cannot be written: {error.strerror}") from None


def _ids(text: str) -> list[str]:
    return [id.strip().upper() for id in text.split(",") if id.strip()]


def _template(text: str) -> Path:
    if text in TEMPLATES:
        return TEMPLATES[text]
    raise argparse.ArgumentTypeError(f"there is no template {text!r}; there are {', '.join(TEMPLATES)}")
