"""A cancel closes the connection, and TGI's permit and place in the batch are free again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import CancelMode, End, Message, TaskId
from conformance.engines.script import Accept, Pause, Script, Stall, Text
from conformance.engines.tgi import TgiSettings
from tests.adapters.rig import Outcome, read, request
from tests.adapters.tgi.rig import open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

    from conformance.engines.script import Step

pytestmark = pytest.mark.req("OC-ADAPT-5040h", "ADAPT-3005")

TALKS = tuple(step for _ in range(99) for step in (Text("a"), Pause(0.5)))


@pytest.mark.parametrize("api", ["native", "openai"])
@pytest.mark.parametrize("steps", [(Stall(),), (Accept(), Stall()), TALKS], ids=["no answer", "no token", "talking"])
async def test_a_cancel_frees_the_engine(autojump_clock: MockClock, api: str, steps: tuple[Step, ...]) -> None:
    outcome = Outcome()
    chat = (Message("user", "Hi"),)
    engine = TgiSettings(permits=1)
    async with open_rig(Script.of(*steps), Script(), engine=engine, api=api) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, request("", messages=chat, task_id=TaskId("t")), outcome)
        await trio.sleep(2.25)
        given = len(outcome.events)
        await rig.adapter.cancel(TaskId("t"))
        assert trio.current_time() == 2.25
        await rig.settle()
        assert rig.double.facts.live == 0
        assert len(rig.double.facts.gone) == 1
        assert isinstance(outcome.events[-1], End)
        assert outcome.events[-1].canceled
        assert len(outcome.events) <= given + 2  # `started`, if it was not there yet, and the end
        assert (await read(rig.adapter, request(max_tokens=2))).error is None  # the permit is free


async def test_a_cancel_in_the_engines_queue_takes_the_request_out(autojump_clock: MockClock) -> None:
    engine = TgiSettings(permits=2, batch=1)
    async with open_rig(Script.of(*TALKS), Script(), engine=engine) as rig, trio.open_nursery() as nursery:
        waiting = Outcome()
        nursery.start_soon(read, rig.adapter, request())
        await trio.sleep(1)
        nursery.start_soon(read, rig.adapter, request(task_id=TaskId("t")), waiting)
        await trio.sleep(1)
        assert (await rig.adapter.props()).queue_depth == 1
        await rig.adapter.cancel(TaskId("t"))
        await rig.settle()
        assert (await rig.adapter.props()).queue_depth == 0
        assert waiting.kinds == ["started", "end"]
        nursery.cancel_scope.cancel()


async def test_leaving_the_block_is_a_cancel_too(autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(*TALKS)) as rig:
        async with rig.adapter.submit(request()) as events:
            await anext(events)
            await anext(events)
        await rig.settle()
        assert (rig.double.facts.live, len(rig.double.facts.gone)) == (0, 1)


@pytest.mark.parametrize("path", ["/chat_tokenize", "/tokenize", "/info"])
async def test_a_cancel_stops_what_comes_before_the_stream(autojump_clock: MockClock, path: str) -> None:
    outcome = Outcome()
    async with open_rig() as rig, trio.open_nursery() as nursery:
        rig.double.load(Script.of(Stall()), path=path)
        task = request("", messages=(Message("user", "Hi"),), task_id=TaskId("t"))
        nursery.start_soon(read, rig.adapter, task, outcome)
        await trio.sleep(0.5)
        await rig.adapter.cancel(TaskId("t"))
        await rig.settle()
        assert outcome.kinds == ["started", "end"]
        assert "/generate_stream" not in rig.paths()


async def test_unknown_and_finished_tasks_are_no_error(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        await read(rig.adapter, request(task_id=TaskId("t"), max_tokens=1))
        await rig.adapter.cancel(TaskId("t"))
        await rig.adapter.cancel(TaskId("never"))
        assert rig.adapter.cancel_support.mode is CancelMode.CLOSE
