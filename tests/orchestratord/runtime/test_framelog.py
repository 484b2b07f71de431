"""The frame log: nothing lost, nothing twice, nothing unbounded, and nothing after a cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from orchestratord.runtime.framelog import BATCH_BYTES, FrameLog, LogFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestratord.runtime.framelog import Reader

END = b"<end>"


def new_log(*, ahead: int = 4, max_bytes: int = 1 << 20) -> FrameLog:
    return FrameLog(ahead=ahead, max_bytes=max_bytes)


def number(n: int) -> bytes:
    return b"<%d>" % n


def nothing() -> None:
    """The connection of a reader that is never cut off."""


async def read_all(reader: Reader, pace: Callable[[], float] = lambda: 0.0) -> list[bytes]:
    batches = []
    while (batch := await reader.next_batch()) is not None:
        batches.append(batch)
        await trio.sleep(pace())
    return batches


@pytest.mark.req("SSE-1003c", "SSE-1004", "OC-CTRL-2022")
@given(
    count=st.integers(0, 30),
    ahead=st.integers(1, 5),
    readers=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3), st.integers(0, 35)), max_size=4),
    writer_pace=st.integers(0, 2),
)
def test_every_reader_gets_every_frame_after_its_id_once(
    count: int, ahead: int, readers: list[tuple[int, int, int]], writer_pace: int
) -> None:
    """`readers`: when each attaches, how slowly it reads, and the id it was at."""
    log = new_log(ahead=ahead)
    got: list[tuple[int, bytes]] = []

    async def write() -> None:
        for n in range(1, count + 1):
            log.append(number(n))
            assert log.lag <= ahead
            await log.wait_room()
            await trio.sleep(writer_pace)
        log.close(END)

    async def read(attach_at: int, pace: int, after: int) -> None:
        await trio.sleep(attach_at)
        first = min(after, len(log.frames))
        reader = log.attach(after, nothing)
        got.append((first, b"".join(await read_all(reader, lambda: pace))))
        reader.detach()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            for each in readers:
                nursery.start_soon(read, *each)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    whole = [*map(number, range(1, count + 1)), END]
    assert len(got) == len(readers)
    for first, text in got:
        assert text == b"".join(whole[first:])
    assert log.frames == whole
    assert (log.reader_count, log.lag) == (0, 0)


@pytest.mark.req("SSE-1004")
async def test_the_writer_waits_for_the_slowest_reader_and_for_nobody_else() -> None:
    log = new_log(ahead=2)
    slow, fast = log.attach(0, nothing), log.attach(0, nothing)
    log.append(number(1))
    await log.wait_room()
    log.append(number(2))
    await fast.next_batch()
    async with trio.open_nursery() as nursery:
        done = trio.Event()

        async def wait() -> None:
            await log.wait_room()
            done.set()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert (log.lag, done.is_set()) == (2, False)
        await slow.next_batch()
        await trio.testing.wait_all_tasks_blocked()
        assert not done.is_set() or log.lag < 2
        slow.written()
        await trio.testing.wait_all_tasks_blocked()
        assert done.is_set()


@pytest.mark.req("SSE-1004")
@pytest.mark.parametrize("way", ["detach", "close_canceled"])
async def test_the_writer_is_let_go_when_the_slow_reader_leaves_or_the_log_is_sealed(way: str) -> None:
    log = new_log(ahead=1)
    reader = log.attach(0, nothing)
    log.append(number(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.wait_room)
        await trio.testing.wait_all_tasks_blocked()
        if way == "detach":
            reader.detach()
        else:
            log.close_canceled(END)
        with trio.fail_after(1):
            await trio.testing.wait_all_tasks_blocked()


async def test_a_log_nobody_reads_holds_nobody_up() -> None:
    log = new_log(ahead=1)
    for n in range(10):
        log.append(number(n))
        await log.wait_room()
    assert log.lag == 0


@pytest.mark.req("SSE-1002", "SSE-1002a", "SSE-1002b")
@given(data=st.data(), count=st.integers(1, 12))
def test_a_seal_drops_what_was_not_taken(data: st.DataObject, count: int) -> None:
    positions = data.draw(st.lists(st.integers(0, count), max_size=4), label="taken by each reader")

    async def main() -> None:
        log = new_log(ahead=100)
        log.append(b"<started>")
        readers = [log.attach(0, nothing) for _ in positions]
        taken = [b""] * len(positions)
        for n in range(1, count + 1):
            for at, (reader, position) in enumerate(zip(readers, positions, strict=True)):
                if position == n:
                    taken[at] = await reader.next_batch() or b""
            log.append(number(n))
        log.close_canceled(END)
        for text, reader in zip(taken, readers, strict=True):
            rest = b"".join(await read_all(reader))
            assert rest == (END if text else b"<started>" + END)
        for after in range(count + 3):
            late = b"".join(await read_all(log.attach(after, nothing)))
            assert late == (b"" if after > count + 1 else END if after else b"<started>" + END)

    trio.run(main)


@pytest.mark.req("SSE-1002")
@pytest.mark.parametrize("late", range(6))
async def test_a_reader_that_is_about_to_wake_gets_no_token_after_the_seal(late: int) -> None:
    """The frame and the seal arrive in the same tick, or some checkpoints apart."""
    log = new_log()
    log.append(b"<started>")
    got: list[bytes] = []
    sealed_after: list[int] = []

    async def read() -> None:
        reader = log.attach(1, nothing)
        while (batch := await reader.next_batch()) is not None:
            got.append(batch)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        log.append(number(1))
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        sealed_after.append(len(got))
        log.close_canceled(END)
    assert got[sealed_after[0] :] == [END]


@pytest.mark.req("SSE-1002", "SSE-1002e")
async def test_a_write_under_way_is_waited_for_and_then_cut_off(autojump_clock: trio.testing.MockClock) -> None:
    log = new_log()
    cut: list[str] = []
    idle = log.attach(0, lambda: cut.append("idle"))
    quick = log.attach(0, lambda: cut.append("quick"))
    stuck = log.attach(0, lambda: cut.append("stuck"))
    log.append(number(1))
    for reader in (quick, stuck):
        await reader.next_batch()
    assert (quick.is_writing, stuck.is_writing, idle.is_writing) == (True, True, False)

    async def finish() -> None:
        await trio.sleep(0.25)
        quick.written()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(finish)
        await log.wait_written(1.0)
    assert cut == ["stuck"]
    assert trio.current_time() == 1.0


@pytest.mark.req("SSE-1002e")
async def test_nothing_is_waited_for_when_nobody_writes(autojump_clock: trio.testing.MockClock) -> None:
    log = new_log()
    reader = log.attach(0, nothing)
    log.append(number(1))
    await reader.next_batch()
    reader.detach()
    await log.wait_written(1.0)
    await log.wait_written(0.0)
    assert trio.current_time() == 0.0


@pytest.mark.req("SSE-1002e")
async def test_a_bound_that_has_passed_cuts_off_at_once(autojump_clock: trio.testing.MockClock) -> None:
    log = new_log()
    cut: list[str] = []
    log.append(number(1))
    await log.attach(0, lambda: cut.append("stuck")).next_batch()
    await log.wait_written(0.0)
    assert cut == ["stuck"]
    assert trio.current_time() == 0.0


@pytest.mark.req("OC-CTRL-2026")
async def test_frames_that_wait_leave_together_within_a_bound() -> None:
    log = new_log(ahead=10_000)
    big = b"x" * (BATCH_BYTES // 4)
    for _ in range(9):
        log.append(big)
    log.append(b"y" * (2 * BATCH_BYTES))
    log.close(END)
    sizes = [len(batch) for batch in await read_all(log.attach(0, nothing))]
    assert sizes[:3] == [BATCH_BYTES, BATCH_BYTES, BATCH_BYTES // 4]
    assert sum(sizes) == log.size


@given(sizes=st.lists(st.integers(1, 40), max_size=12), bound=st.integers(1, 200))
def test_the_byte_bound_holds_for_all_but_the_terminal_frame(sizes: list[int], bound: int) -> None:
    log = new_log(max_bytes=bound)
    for size in sizes:
        before = list(log.frames)
        try:
            log.append(b"x" * size)
        except LogFull:
            assert sum(map(len, before)) + size > bound
            assert log.frames == before
        assert log.size == sum(map(len, log.frames)) <= bound
    log.close(END)
    assert log.frames[-1] == END


def test_ids_count_from_one() -> None:
    log = new_log()
    assert log.next_id == 1
    log.append(number(1))
    assert log.next_id == 2
    assert repr(log) == "<FrameLog open frames=1 bytes=3 readers=0>"
    log.close(END)
    assert "closed" in repr(log)


async def test_a_cancelled_wait_loses_nothing() -> None:
    log = new_log()
    reader = log.attach(0, nothing)
    with trio.move_on_after(0):
        await reader.next_batch()
    log.append(number(1))
    assert await reader.next_batch() == number(1)
