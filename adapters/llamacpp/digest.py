"""The digest of the model file that the engine has loaded, where the file is on this machine.

Hashing a model takes from a part of a second to minutes, so it is done by one task beside the adapter's calls, in a
worker thread, once for each content: a file is known by path, size and time of change. Nothing is guessed: a model in
several files, a file that cannot be read and an engine on another machine have no digest.

Implements: ADAPT-3003, OC-ADAPT-5011.
"""

from __future__ import annotations

import hashlib
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import final

import trio

_CHUNK_BYTES = 4 * 1024 * 1024
_ONE_OF_SEVERAL = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


@dataclass(frozen=True, slots=True)
class _Known:
    path: str
    size: int
    changed_ns: int
    digest: str


@final
class ModelDigest:
    """Knows one model's digest, or learns it; `run` has to run for that."""

    def __init__(self, configured: str | None, *, may_read: bool) -> None:
        self._configured = configured
        self._may_read = may_read and configured is None
        self._known: _Known | None = None
        self._path: str | None = None
        self._asked = trio.Event()
        self._settled = trio.Event()
        self._settled.set()

    def __repr__(self) -> str:
        return f"<ModelDigest {self.value}>"

    @property
    def value(self) -> str | None:
        """`sha256:` and 64 hex digits, or None while it is not known."""
        return self._configured or (None if self._known is None else self._known.digest)

    def look_at(self, path: str | None) -> None:
        """Take note of where the engine says its model is; whether that file has changed is found out by `run`."""
        if path != self._path:
            self._known, self._path = None, path
        if self._may_read and path is not None and not _ONE_OF_SEVERAL.search(path):
            self._settled = trio.Event()
            self._asked.set()

    async def wait_settled(self) -> None:
        """Wait until the file that was looked at last is hashed, or cannot be."""
        await self._settled.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hash what is looked at, one file at a time. Cancelled: the thread ends within one chunk of the file."""
        task_status.started()
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            path, settled = self._path, self._settled
            if path is not None:
                found = await trio.to_thread.run_sync(_look, path, self._known, abandon_on_cancel=True)
                self._known = found if path == self._path else None
            settled.set()


def _look(path: str, known: _Known | None) -> _Known | None:
    try:
        about = Path(path).stat()
        if not stat.S_ISREG(about.st_mode):
            return None
        if known is not None and (known.path, known.size, known.changed_ns) == (path, about.st_size, about.st_mtime_ns):
            return known
        return _Known(path, about.st_size, about.st_mtime_ns, f"sha256:{_sha256(path)}")
    except (OSError, ValueError):  # not there, not ours to read, or no path at all
        return None


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            trio.from_thread.check_cancelled()
    return digest.hexdigest()
