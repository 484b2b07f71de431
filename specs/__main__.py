"""`python -m specs lock`: bring `specs.lock.json` up to date with the documents in a folder; `openapi`: the interface.

It refuses while a document has left its lock in a way that the lock must not follow.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ._drift import Drift, drift
from ._errors import SpecError
from ._load import load_from
from ._lock import EMPTY, LOCK, Lock, LockError, lock_text, locked, read_lock
from ._openapi import openapi_text


class Arguments(argparse.Namespace):
    """What was given on the command line."""

    command: str
    folder: Path
    check: bool


def main() -> int:
    """Run the command; returns the exit code: 0, 1 for documents that cannot be locked, 2 for wrong usage."""
    arguments = _parser().parse_args(namespace=Arguments())
    try:
        if arguments.command == "openapi":
            sys.stdout.write(openapi_text(load_from(arguments.folder)))
            return 0
        return write_lock(arguments.folder, is_check=arguments.check)
    except (SpecError, LockError) as error:
        sys.stderr.write(f"{error}\n")
        return 1


def write_lock(folder: Path, *, is_check: bool = False) -> int:
    """Write the lock of the documents in `folder`, or with `is_check` only tell whether it is up to date."""
    path = folder / LOCK
    found, is_behind = update(folder, is_check=is_check)
    for each in found:
        sys.stderr.write(f"{each.file}:{each.line}: {each.message}\n")
    if is_behind and is_check:
        sys.stderr.write(f"{path} is out of date; run: python -m specs lock\n")
    elif is_behind:
        sys.stdout.write(f"{path} is up to date now\n")
    return int(bool(found) or (is_check and is_behind))


def update(folder: Path, *, is_check: bool = False) -> tuple[list[Drift], bool]:
    """Bring the lock up to date; return what it may not follow, and whether it was behind."""
    path, spec = folder / LOCK, load_from(folder)
    before, lock = _agreed(path) if path.exists() else ("", EMPTY)
    after = lock_text(locked(spec, lock))
    found = drift(lock, spec)
    if found or after == before:
        return found, False
    if not is_check:
        path.write_text(after, encoding="utf-8", newline="\n")
    return found, True


def _agreed(path: Path) -> tuple[str, Lock]:
    try:
        text = path.read_text(encoding="utf-8")
        return text, read_lock(text) if text else EMPTY
    except (OSError, UnicodeDecodeError, LockError) as error:
        raise LockError(f"{path}: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m specs", description="Keep the lock of the specification.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    lock = commands.add_parser("lock", help="write specs.lock.json anew")
    lock.add_argument("folder", nargs="?", type=_folder, default="specs", help="with the documents (default: specs)")
    lock.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the lock is out of date")
    told = commands.add_parser("openapi", help="print the HTTP interface as an OpenAPI 3.1 file")
    told.add_argument("folder", nargs="?", type=_folder, default="specs", help="with the documents (default: specs)")
    return parser


def _folder(text: str) -> Path:
    if Path(text).is_dir():
        return Path(text)
    raise argparse.ArgumentTypeError(f"there is no folder {text}")


if __name__ == "__main__":
    sys.exit(main())
