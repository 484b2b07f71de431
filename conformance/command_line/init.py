"""`conformance init`: write a start for a new adapter."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.outcome import Exit
from conformance.starting import ENGINE, CannotStart, start
from conformance.subjects import SUBJECTS

ABOUT = """\
It writes a package that runs and conforms as it is, against an engine that is made up, with marks at what you have to
change: an adapter, a double of the engine that proves it, tests, a README that says what to do in which order, and a
workflow for CI. Nothing is overwritten.

  conformance init acorn-adapter --engine acorn"""

_NEXT = """\
{count} files for an adapter of {engine} are in {folder}
  {module}_adapter/  the adapter: wire.py says what the bytes mean, adapter.py which call is made when
  {module}_proof/    what proves it: double.py plays the engine, the subject puts both together
  tests/  README.md  .github/workflows/

It runs as it is, against an engine that is made up. Next:
{enter}  pip install --editable '.[test]'
  {run}  conforms already
  {pytest}  says what is left to make yours
"""


class InitArguments(argparse.Namespace):
    """What was given."""

    folder: Path
    engine: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what `init` can be told."""
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), metavar="DIR", help="where (default: here)")
    parser.add_argument("--engine", type=_engine, required=True, metavar="NAME", help="as requests will call it")


def init(given: InitArguments) -> int:
    """Write the files, or say why not."""
    try:
        written = start(given.folder, given.engine)
    except CannotStart as error:
        sys.stderr.write(f"conformance init: {error}\n")
        return Exit.USAGE
    module, folder = given.engine.replace("-", "_"), "this folder" if given.folder == Path() else given.folder
    command = f"conformance run --adapter {module}_proof:subject"
    tests = "pytest".ljust(len(command))
    enter = "" if given.folder == Path() else f"  cd {given.folder}\n"
    told = _NEXT.format(
        count=len(written), engine=given.engine, folder=folder, module=module, enter=enter, run=command, pytest=tests
    )
    sys.stdout.write(told)
    return Exit.CONFORMING


def _engine(name: str) -> str:
    if not ENGINE.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r} is no engine's name: small letters, digits and single dashes")
    if name in {subject.engine for subject in SUBJECTS.values()}:
        raise argparse.ArgumentTypeError(f"there is an adapter for {name} already; call yours otherwise")
    return name
