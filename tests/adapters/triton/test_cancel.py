"""Cancels and early leaves: what the server sees of them, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from adapter_api import CancelMode, End, PoolUnavailable, TaskId, WorkerReset, load_factory
from conformance.engines.script import Pause, Script, Stall, Text
from conformance.engines.triton import TritonSettings, open_triton
from tests.adapters.rig import Outcome, read, request
from tests.adapters.triton.rig import TritonRig, context_of, grpc_url, open_triton_rig
from tests.support.cancel_sweep import sweep

if TYPE_CHECKING:
    from tests.support.cancel_sweep import Arm

pytestmark = pytest.mark.req("ADAPT-3005", "OC-ADAPT-5060h")

STREAMED = pytest.mark.parametrize("transport", ["generate", "grpc"])
ENDLESS = Script.of(*(step for _ in range(100) for step in (Text(" on"), Pause(0.1))))
SILENT = Script.of(Stall())


async def cancelled(rig: TritonRig, after_s: float) -> tuple[Outcome, float]:
    """Cancel a completion after so many seconds; return what it gave and how long the cancel took."""
    outcome, task = Outcome(), request()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, task, outcome)
        await trio.sleep(after_s)
        before = trio.current_time()
        await rig.adapter.cancel(task.task_id)
    return outcome, trio.current_time() - before


@STREAMED
async def test_a_cancel_while_tokens_come(autojump_clock: MockClock, transport: str) -> None:
    async with open_triton_rig(ENDLESS, transport=transport) as rig:
        outcome, took_s = await cancelled(rig, 1.05)
        await rig.settle()
        assert rig.double.facts.live == 0
    end = outcome.events[-1]
    assert isinstance(end, End)
    assert (end.canceled, end.tokens_out) == (True, 11)
    assert took_s == 0


@STREAMED
async def test_a_cancel_before_the_first_response(autojump_clock: MockClock, transport: str) -> None:
    """Over gRPC the server sees it; over HTTP it would not before it writes, which this one never does."""
    async with open_triton_rig(SILENT, transport=transport) as rig:
        outcome, took_s = await cancelled(rig, 1.0)
        await rig.settle()
        assert rig.double.facts.live == (0 if transport == "grpc" else 1)
    assert outcome.kinds == ["started", "end"]
    assert took_s == 0


@pytest.mark.req("OC-ADAPT-5060f")
@STREAMED
async def test_a_stop_by_request_id_reaches_a_server_that_does_not_look(
    autojump_clock: MockClock, transport: str
) -> None:
    async with open_triton_rig(SILENT, transport=transport, stop_by_request_id=True) as rig:
        assert rig.adapter.cancel_support.mode is CancelMode.ABORT
        await cancelled(rig, 1.0)
        await rig.settle()
        assert rig.double.facts.live == 0
        stop = rig.sent("/generate_stream")
    assert stop["stop"] is True


@pytest.mark.req("OC-ADAPT-5060f")
async def test_the_stop_goes_to_the_model_that_takes_it(autojump_clock: MockClock) -> None:
    async with open_triton_rig(SILENT, stop_by_request_id=True, stop_model="tensorrt_llm") as rig:
        await cancelled(rig, 1.0)
        stops = [path for path in rig.paths() if path == "/v2/models/tensorrt_llm/generate_stream"]
    assert len(stops) == 1


@pytest.mark.req("OC-ADAPT-5060f")
async def test_a_request_that_ended_is_not_stopped(autojump_clock: MockClock) -> None:
    async with open_triton_rig(Script.of(Text("one")), stop_by_request_id=True) as rig:
        task = request()
        await read(rig.adapter, task)
        await rig.adapter.cancel(task.task_id)
        await rig.adapter.cancel(TaskId("nobody"))
        assert sum(path.endswith("/generate_stream") for path in rig.paths()) == 1


@pytest.mark.req("OC-ADAPT-5060f")
async def test_a_reader_that_leaves_stops_its_request(autojump_clock: MockClock) -> None:
    async with open_triton_rig(ENDLESS, stop_by_request_id=True) as rig:
        with trio.move_on_after(1.05):
            await read(rig.adapter, request())
        await wait_all_tasks_blocked()
        assert rig.sent("/generate_stream")["stop"] is True


@pytest.mark.req("OC-ADAPT-5060f")
async def test_a_stop_that_nobody_answers_is_bounded(autojump_clock: MockClock) -> None:
    async with open_triton_rig(SILENT, stop_by_request_id=True) as rig:
        rig.double.load(SILENT, path="/v2/models/ensemble/generate_stream")
        _, took_s = await cancelled(rig, 1.0)
    assert took_s <= 1.0


@STREAMED
@pytest.mark.parametrize("script", [ENDLESS, SILENT], ids=["while tokens come", "before the first response"])
async def test_closing_the_adapter_ends_what_is_open(autojump_clock: MockClock, transport: str, script: Script) -> None:
    outcome = Outcome()
    async with trio.open_nursery() as nursery:
        async with open_triton_rig(script, transport=transport) as rig:
            adapter = rig.adapter
            nursery.start_soon(read, adapter, request(), outcome)
            await trio.sleep(1)
        after = await read(adapter, request())
    assert isinstance(outcome.error, WorkerReset)
    assert isinstance(after.error, PoolUnavailable)


@pytest.mark.parametrize("script", [ENDLESS, SILENT], ids=["while tokens come", "before the first response"])
async def test_no_call_outlives_its_adapter(autojump_clock: MockClock, script: Script) -> None:
    async with open_triton(TritonSettings(), script) as double, trio.open_nursery() as nursery:
        outcome, context = Outcome(), context_of(double)
        settings = {"url": double.url, "model": "ensemble", "transport": "grpc", "grpc_url": grpc_url(double)}
        async with load_factory("triton").open(settings, context) as adapter:
            nursery.start_soon(read, adapter, request(), outcome)  # noqa: ASYNC111 - closed under its reader
            await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert double.facts.connections == 0
        assert isinstance(outcome.error, WorkerReset)


@pytest.mark.req("OC-ADAPT-5060f")
async def test_when_a_cancel_returns_the_engine_has_been_told(autojump_clock: MockClock) -> None:
    task = request()
    async with open_triton_rig(ENDLESS, stop_by_request_id=True) as rig, rig.adapter.submit(task):  # nobody reads
        await rig.adapter.cancel(task.task_id)
        assert rig.sent("/generate_stream")["stop"] is True


@STREAMED
async def test_a_cancel_at_any_step_leaves_nothing(autojump_clock: MockClock, transport: str) -> None:
    script = Script.of(Text("one"), Pause(0.1), Text(" two"), Pause(0.1), Text(" three"))

    async def work(arm: Arm) -> None:
        async with open_triton_rig(script, transport=transport) as rig:
            outcome = Outcome()
            with trio.CancelScope() as scope:
                knife = arm(scope.cancel)
                async with trio.open_nursery() as nursery:  # noqa: ASYNC112 - the knife knows its task by the name
                    nursery.start_soon(read, rig.adapter, request(), outcome, name="reader")
            await rig.settle()
            assert rig.double.facts.live == 0
            if not knife.fell:
                assert outcome.text == "one two three"

    assert await sweep("reader", work) > 5
