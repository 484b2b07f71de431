"""`conformance init`: write a start for a new adapter."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from conformance.outcome import Exit
from conformance.starting import ENGINE, CannotStart, start
from conformance.subjects import SUBJECTS

_NEXT = """\
{count} files for an adapter of {engine} are in {folder}
It runs as it is, against a double of an engine that is made up. From there, with orchestratord installed:
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
    told = _NEXT.format(count=len(written), engine=given.engine, folder=folder, run=command, pytest=tests)
    sys.stdout.write(told)
    return Exit.CONFORMING


def _engine(name: str) -> str:
    if not ENGINE.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r} is no engine's name: small letters, digits and single dashes")
    if name in {subject.engine for subject in SUBJECTS.values()}:
        raise argparse.ArgumentTypeError(f"there is an adapter for {name} already; call yours otherwise")
    return name
