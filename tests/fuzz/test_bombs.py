"""A small body that unpacks to a large one does not unpack, and an answer without end is not kept."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zlib
from functools import cache
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import MockClock

from .mutations import Ending, Framing, Mutated
from .recording import HTTP2_CALL, Reply, record
from .replay import URL, Replay
from .targets import REPORTS, TARGETS, context_with
from .verdict import Reader, check_reports, check_stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .recording import Key
    from .targets import Target

BOMB_BYTES = 256 * 1024 * 1024
MOST_KEPT_BYTES = 24 * 1024 * 1024
"""Far less than what a bomb unpacks to; a report of the largest size that is read has room."""


@cache
def bomb(encoding: bytes) -> bytes:
    """Return the bytes that unpack to so many zeros."""
    piece, pieces = bytes(1024 * 1024), BOMB_BYTES // (1024 * 1024)
    if encoding == b"deflate":
        packer = zlib.compressobj()
        return b"".join([*(packer.compress(piece) for _ in range(pieces)), packer.flush()])
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as file:
        for _ in range(pieces):
            file.write(piece)
    return out.getvalue()


@pytest.mark.req("HTU-1005", "HTU-1006")
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_what_a_bomb_holds_is_never_unpacked(target: Target, status: int) -> None:
    for encoding in (b"gzip", b"deflate"):
        packed, answers = bomb(encoding), record(target).replies
        headers = {key: tuple(replies[0].headers) for key, replies in answers.items() if key != HTTP2_CALL}
        bombs = {
            key: [Reply(b"", status, (*given, (b"content-encoding", encoding)), (packed,))]
            for key, given in headers.items()
        }
        assert kept_by(target, bombs, {}) < MOST_KEPT_BYTES


@pytest.mark.req("HTU-1005", "HTU-1006")
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_an_answer_without_end_is_not_kept(target: Target) -> None:
    answers = record(target).replies
    endless = {key: Mutated(framing=Framing.UNTIL_CLOSE, ending=Ending.ENDLESS) for key in answers}
    assert kept_by(target, answers, endless) < MOST_KEPT_BYTES


def kept_by(target: Target, answers: Mapping[Key, Sequence[Reply]], changes: Mapping[Key, Mutated]) -> int:
    """Ask for everything and return the most memory that was taken at a time, in bytes."""
    tracemalloc.start()
    try:
        for asked in (REPORTS, *target.kinds):
            trio.run(_ask, target, asked, answers, changes, clock=MockClock(autojump_threshold=0))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def _ask(
    target: Target, asked: str, answers: Mapping[Key, Sequence[Reply]], changes: Mapping[Key, Mutated]
) -> None:
    async with trio.open_nursery() as engine:
        replay = Replay(answers, changes, engine)
        async with target.open_adapter(URL, context_with(replay.dial)) as adapter:
            if asked == REPORTS:
                await check_reports(adapter)
            else:
                await check_stream(adapter, target.tasks[asked], Reader())
        engine.cancel_scope.cancel()
