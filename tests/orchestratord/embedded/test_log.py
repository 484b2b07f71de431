from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestratord.embedded.log import EngineLog


class Chunks:
    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = iter(chunks)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        for chunk in self._chunks:
            return chunk
        raise StopAsyncIteration


@pytest.mark.req("HTU-1004m")
async def test_the_tail_keeps_the_last_whole_lines_however_they_arrive() -> None:
    log = EngineLog()
    await log.pump(Chunks([b"a\nb", b"b\nc", b"\n", b"unfinished"]))
    assert log.tail(2) == "  engine: bb\n  engine: c"


@given(st.lists(st.binary(max_size=3000), max_size=30))
def test_memory_is_bounded_whatever_is_written(chunks: list[bytes]) -> None:
    log = EngineLog()
    for chunk in chunks:
        log._remember(chunk)
    assert len(log.tail(1000)) <= 50 * 420
    assert len(log._unfinished) <= 400


async def test_the_file_is_moved_aside_when_it_is_full(tmp_path: Path) -> None:
    path = tmp_path / "engine.log"
    log = EngineLog(path, file_bytes=8)
    await log.pump(Chunks([b"first\n", b"2nd\n", b"3rd\n"]))
    assert path.read_bytes() == b"2nd\n3rd\n"
    assert (tmp_path / "engine.log.1").read_bytes() == b"first\n"


async def test_a_file_that_cannot_be_written_does_not_stop_the_engine(tmp_path: Path) -> None:
    log = EngineLog(tmp_path / "no" / "such" / "folder")
    await log.pump(Chunks([b"line\n"]))
    assert log.tail() == "  engine: line"
