"""A connection on which the engine falls silent: so many bytes pass, then nothing, until this end closes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from conformance.engines.pipe import open_pipe
from conformance.engines.silent import FallsSilent

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_so_many_bytes_pass_in_whatever_pieces_and_then_none(autojump_clock: MockClock) -> None:
    ours, engines = open_pipe()
    stream = FallsSilent(ours, 5)
    await stream.send_all(b"request")
    assert await engines.receive_some() == b"request"
    await engines.send_all(b"abc")
    await engines.send_all(b"defgh")
    assert [await stream.receive_some(), await stream.receive_some(1), await stream.receive_some()] == [
        b"abc",
        b"d",
        b"e",
    ]
    with trio.move_on_after(3600) as patience:
        await stream.receive_some()
    assert patience.cancelled_caught


async def test_closing_wakes_who_waits_and_tells_the_engine(autojump_clock: MockClock) -> None:
    ours, engines = open_pipe()
    stream = FallsSilent(ours, 0)
    async with trio.open_nursery() as nursery:

        async def waits() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()

        nursery.start_soon(waits)
        await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
    assert await engines.receive_some() == b""
