"""The child's log: its end in memory for error texts, all of it in a file where one is asked for.

Both are bounded: the memory by lines and line length, the file by moving it aside at a size. Bytes come from a pipe; an
engine that logs faster than the disk takes it waits.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterable
    from pathlib import Path

_LINES = 50
_LINE_CHARACTERS = 400
_FILE_BYTES = 16 << 20


class EngineLog:
    """Takes what the child writes."""

    def __init__(self, path: Path | None = None, *, file_bytes: int = _FILE_BYTES) -> None:
        self._path = path
        self._file_bytes = file_bytes
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._unfinished = b""

    def tail(self, lines: int = 12) -> str:
        """The last lines, for a person to read."""
        return "\n".join(f"  engine: {line}" for line in list(self._lines)[-lines:])

    async def pump(self, chunks: AsyncIterable[bytes | bytearray]) -> None:
        """Take chunks until they end. Cancelled loses nothing that was taken."""
        async for chunk in chunks:
            self._remember(chunk)
            if self._path is not None:
                await trio.to_thread.run_sync(self._append, self._path, bytes(chunk))

    def _remember(self, chunk: bytes | bytearray) -> None:
        *lines, rest = (self._unfinished + chunk).split(b"\n")
        self._unfinished = rest[:_LINE_CHARACTERS]
        self._lines += (line[:_LINE_CHARACTERS].decode(errors="replace").rstrip() for line in lines)

    def _append(self, path: Path, chunk: bytes) -> None:
        try:
            if path.exists() and path.stat().st_size + len(chunk) > self._file_bytes:
                os.replace(path, path.with_name(f"{path.name}.1"))
            with path.open("ab") as file:
                file.write(chunk)
        except OSError:
            self._path = None  # a full disk ends the file, not the engine
