"""The lock that a proposed change starts from: a file, or a revision of the repository.

A revision without a lock is read from its documents, so that the change which brings the lock is compared as well.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from specs import EMPTY, GUIDE, LOCK, LockError, SpecError, load_from, locked, read_lock

if TYPE_CHECKING:
    from specs import Lock


class BaseError(ValueError):
    """There is no lock to compare with; the message says why."""


def lock_at(folder: Path, base: str) -> Lock:
    """Return the lock in the file `base`, or that of the documents in `folder` at the revision `base`.

    A revision without documents has agreed on nothing.
    """
    try:
        if Path(base).is_file():
            return read_lock(Path(base).read_text(encoding="utf-8"))
        _expect_revision(folder, base)
        names = _git(folder, "ls-tree", "--name-only", base, "./").split("\n")
        if LOCK in names:
            return read_lock(_git(folder, "show", f"{base}:./{LOCK}"))
        documents = [name for name in names if name.endswith(".md")]
        return _from_documents(folder, base, documents) if {*documents} - {GUIDE} else EMPTY
    except (LockError, SpecError, UnicodeDecodeError, OSError) as error:
        raise BaseError(f"the lock of {base} cannot be read: {error}") from None


def _expect_revision(folder: Path, base: str) -> None:
    """Raise `BaseError` that says why there is no such revision: no repository, too little of one, a wrong name."""
    _git(folder, "rev-parse", "--git-dir")
    try:
        _git(folder, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    except BaseError:
        is_shallow = _git(folder, "rev-parse", "--is-shallow-repository").strip() == "true"
        hint = "; this clone is shallow: `git fetch --unshallow`, or fetch-depth: 0 in CI" if is_shallow else ""
        raise BaseError(f"--base: {base} is no file and no revision{hint}") from None


def _from_documents(folder: Path, base: str, names: list[str]) -> Lock:
    with TemporaryDirectory() as place:
        for name in names:
            (Path(place) / name).write_text(_git(folder, "show", f"{base}:./{name}"), encoding="utf-8")
        return locked(load_from(Path(place)))


def _git(folder: Path, *command: str) -> str:
    """Return what git says; its text is UTF-8, whatever the language of the machine is."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *command], capture_output=True, check=True, encoding="utf-8", errors="strict"
        )
    except FileNotFoundError:
        raise BaseError("git is not installed; give the lock to compare with as a file") from None
    except subprocess.CalledProcessError as error:
        raise BaseError(f"--base: git {command[0]}: {error.stderr.strip()}") from None
    return done.stdout
