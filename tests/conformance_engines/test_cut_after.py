"""A connection that closes after so many bytes: over HTTP/1.1 at exactly that byte, whatever pieces they leave in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio.testing

from conformance.engines.llamacpp import LlamaSettings, open_llamacpp
from conformance.engines.script import CutAfter, Finish, Pause, Script, SplitBytesAt, Step, Text, script_from_json

from .client import open_call

if TYPE_CHECKING:
    from trio.testing import MockClock

QUIET = LlamaSettings(ping_s=None)
SPOKEN: tuple[Step, ...] = (Text("One"), Text(" two"), Finish())


async def read(script: Script) -> tuple[bytes, int]:
    """Return everything that comes of one answer, and the work that the engine has left."""
    got = b""
    async with open_llamacpp(QUIET, script) as double:
        async with open_call(double, "/completion", {"prompt": "hi", "stream": True}) as call:
            while data := bytes(await call.stream.receive_some()):
                got += data
        await trio.testing.wait_all_tasks_blocked()
        return got, double.facts.live


@pytest.mark.parametrize("size", [0, 1, 17, 400])
@pytest.mark.parametrize("pieces", [(), (SplitBytesAt((3, 5)),)])
async def test_no_byte_more_leaves(size: int, pieces: tuple[Step, ...]) -> None:
    whole, _ = await read(Script.of(*SPOKEN))
    got, live = await read(Script.of(*pieces, CutAfter(size), *SPOKEN))
    assert (len(got), live) == (size, 0)
    assert whole.startswith(got)


async def test_an_answer_that_is_shorter_is_whole() -> None:
    whole, _ = await read(Script.of(*SPOKEN))
    assert (await read(Script.of(CutAfter(100_000), *SPOKEN)))[0] == whole


async def test_the_engine_goes_on_when_nobody_hears_it(autojump_clock: MockClock) -> None:
    got, live = await read(Script.of(Text("One"), CutAfter(0), Text(" two"), Pause(5.0), Finish()))
    assert b"One" in got
    assert b"two" not in got
    assert live == 1


def test_it_is_sent_as_json() -> None:
    script = Script.of(CutAfter(7))
    assert script_from_json(script.to_json()) == script
