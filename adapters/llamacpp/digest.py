"""The digest of the model file that the engine has loaded, where the file is on this machine.

Hashing a model takes from a part of a second to minutes, so it goes by instalments: each report of the adapter adds a
bounded number of bytes, in a worker thread, and the digest is there once the end is reached. That is done once for each
content; a file is known by path, size and time of change. Nothing is guessed: a model in several files, a file that
cannot be read and an engine on another machine have no digest.

Implements: ADAPT-3003, OC-ADAPT-5011.
"""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, final

import trio

if TYPE_CHECKING:
    import io

_CHUNK_BYTES = 4 * 1024 * 1024
_ONE_OF_SEVERAL = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


class _Content(NamedTuple):
    """What tells one content of a file from another without reading it."""

    size: int
    changed_ns: int


@final
class ModelDigest:
    """Knows the digest of a model, or works it out."""

    def __init__(self, configured: str | None, *, may_read: bool) -> None:
        self._configured = configured
        self._may_read = may_read and configured is None
        self._file: _ModelFile | None = None
        self._is_busy = False

    def __repr__(self) -> str:
        return f"<ModelDigest configured={self._configured is not None} may_read={self._may_read}>"

    def of(self, path: str | None) -> str | None:
        """Return `sha256:` and 64 hex digits for the model at `path`, or None while it is not known."""
        if self._configured is not None or self._file is None or self._file.path != path:
            return self._configured
        return self._file.digest

    async def advance(self, path: str | None, budget_bytes: int) -> None:
        """Read on in the model file, at most so many bytes, from the start if it has changed.

        Does nothing while another task is at it. Cancelled: stops within a chunk; the next call reads on from there.
        """
        if not self._may_read or path is None or self._is_busy or _ONE_OF_SEVERAL.search(path):
            return
        if self._file is None or self._file.path != path:
            self._file = _ModelFile(path)
        self._is_busy = True
        try:
            await trio.to_thread.run_sync(self._file.advance, budget_bytes)
        finally:
            self._is_busy = False


@final
class _ModelFile:
    """A file that is being hashed; used by one thread at a time."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.digest: str | None = None
        self._content: _Content | None = None
        self._hash = hashlib.sha256()
        self._done_bytes = 0

    def advance(self, budget_bytes: int) -> None:
        try:
            content = _content_of(self.path)
            if content != self._content:
                self._begin(content)
            if content is not None and self.digest is None:
                with Path(self.path).open("rb", buffering=0) as file:
                    self._read(file, self._done_bytes + budget_bytes)
        except (OSError, ValueError):  # not there, not ours to read, or no path at all
            self._begin(None)

    def _begin(self, content: _Content | None) -> None:
        self._content, self._hash, self._done_bytes, self.digest = content, hashlib.sha256(), 0, None

    def _read(self, file: io.FileIO, until_bytes: int) -> None:
        file.seek(self._done_bytes)
        while self._done_bytes < until_bytes and (chunk := file.read(_CHUNK_BYTES)):
            self._hash.update(chunk)
            self._done_bytes += len(chunk)
            trio.from_thread.check_cancelled()
        if self._content is not None and self._done_bytes >= self._content.size:
            self.digest = f"sha256:{self._hash.hexdigest()}"


def _content_of(path: str) -> _Content | None:
    about = Path(path).stat()
    return _Content(about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else None
