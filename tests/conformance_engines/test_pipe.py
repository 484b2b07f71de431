"""The in-memory stream keeps Trio's own rules for streams, and TCP's manners."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import check_half_closeable_stream, check_two_way_stream, wait_all_tasks_blocked

from conformance.engines.pipe import PipeEnd, open_pipe


async def _pair() -> tuple[PipeEnd, PipeEnd]:
    await trio.lowlevel.checkpoint()
    return open_pipe(capacity=1000)


async def _clogged_pair() -> tuple[PipeEnd, PipeEnd]:
    ends = open_pipe(capacity=1000)
    await ends[0].send_all(bytes(1000))
    await ends[1].send_all(bytes(1000))
    return ends


async def test_it_keeps_the_rules_of_a_half_closeable_stream() -> None:
    await check_half_closeable_stream(_pair, _clogged_pair)


async def test_it_keeps_the_rules_of_a_two_way_stream() -> None:
    await check_two_way_stream(_pair, _clogged_pair)


async def test_a_pipe_with_latency_keeps_the_rules_too(autojump_clock: trio.testing.MockClock) -> None:
    async def pair() -> tuple[PipeEnd, PipeEnd]:
        await trio.lowlevel.checkpoint()
        return open_pipe(latency_s=0.25)

    await check_half_closeable_stream(pair, None)


async def test_a_sender_waits_while_the_receiver_does_not_read() -> None:
    near, far = open_pipe(capacity=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(near.send_all, b"x" * 11)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        assert await far.receive_some() == b"x" * 10
        await wait_all_tasks_blocked()
        assert not nursery.child_tasks
    assert await far.receive_some() == b"x"


async def test_bytes_of_two_sends_never_arrive_together() -> None:
    near, far = open_pipe()
    await near.send_all(b"one")
    await near.send_all(b"two")
    assert [await far.receive_some(), await far.receive_some()] == [b"one", b"two"]


async def test_bytes_and_the_end_take_the_latency(autojump_clock: trio.testing.MockClock) -> None:
    near, far = open_pipe(latency_s=0.5)
    start = trio.current_time()
    await near.send_all(b"a")
    await near.aclose()
    assert await far.receive_some() == b"a"
    assert trio.current_time() - start == pytest.approx(0.5)
    assert await far.receive_some() == b""
    assert trio.current_time() - start == pytest.approx(0.5)


async def test_a_reset_loses_what_is_under_way_and_wakes_the_peer() -> None:
    near, far = open_pipe()
    await near.send_all(b"lost")
    near.reset()
    with pytest.raises(trio.BrokenResourceError):
        await far.receive_some()
    with pytest.raises(trio.BrokenResourceError):
        await far.send_all(b"x")
    with pytest.raises(trio.ClosedResourceError):
        await near.send_all(b"x")


async def test_a_reset_wakes_a_peer_that_waits() -> None:
    near, far = open_pipe()

    async def expect_reset() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await far.receive_some()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(expect_reset)
        await wait_all_tasks_blocked()
        near.reset()


@given(pieces=st.lists(st.binary(max_size=40), max_size=12), capacity=st.integers(1, 50), limit=st.integers(1, 60))
def test_every_byte_arrives_once_and_in_order(pieces: list[bytes], capacity: int, limit: int) -> None:
    async def main() -> bytes:
        near, far = open_pipe(capacity=capacity)
        got = bytearray()

        async def send() -> None:
            for piece in pieces:
                await near.send_all(piece)
            await near.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            while chunk := await far.receive_some(limit):
                assert len(chunk) <= min(limit, capacity)
                got.extend(chunk)
        return bytes(got)

    assert trio.run(main) == b"".join(pieces)
