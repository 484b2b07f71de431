"""`python -m specs lock`: bring `specs.lock.json` up to date with the documents beside it.

It refuses while a document has left its lock in a way that the lock must not follow.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ._drift import drift
from ._errors import SpecError
from ._load import load_from
from ._lock import EMPTY, LOCK, LockError, lock_text, locked, read_lock


class Arguments(argparse.Namespace):
    """What was given on the command line."""

    command: str
    folder: Path
    check: bool


def main() -> int:
    """Run the command; returns the exit code: 0, 1 for documents that cannot be locked, 2 for wrong usage."""
    arguments = _parser().parse_args(namespace=Arguments())
    try:
        return write_lock(arguments.folder, is_check=arguments.check)
    except (SpecError, LockError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def write_lock(folder: Path, *, is_check: bool = False) -> int:
    """Write the lock of the documents in `folder`, or with `is_check` only tell whether it is up to date."""
    path, spec = folder / LOCK, load_from(folder)
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lock = read_lock(before) if before else EMPTY
    found = drift(lock, spec)
    for each in found:
        sys.stderr.write(f"{each.file}:{each.line}: {each.message}\n")
    after = lock_text(locked(spec, lock))
    if found or after == before:
        return int(bool(found))
    if is_check:
        sys.stderr.write(f"{path} is out of date; run: python -m specs lock\n")
        return 1
    path.write_text(after, encoding="utf-8", newline="\n")
    sys.stdout.write(f"{path}: {len(spec.requirements)} requirements\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m specs", description="Keep the lock of the specification.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    lock = commands.add_parser("lock", help="write specs.lock.json anew")
    lock.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="folder of the documents")
    lock.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the lock is out of date")
    return parser


if __name__ == "__main__":
    sys.exit(main())
