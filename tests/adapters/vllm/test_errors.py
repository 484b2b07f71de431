"""Every way in which vLLM, or the way to it, fails, and the one error that comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import specs
from adapter_api import Token, Workload
from adapters.vllm.server import Line
from adapters.vllm.server import line as line_of
from conformance.engines.host import Link
from conformance.engines.script import Accept, Answer, Cut, Die, Fail, Overload, Pause, Reset, Script, Stall, Step, Text
from conformance.engines.vllm import VllmSettings
from conformance.wire_faults import fault_of
from http_util.prometheus import samples
from tests.adapters.rig import SECRET, SERVICE_SECRET, Outcome, read, request

from .rig import open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

    from specs import EngineError

pytestmark = pytest.mark.req("ADAPT-3002", "HTU-1006", "AH-1005", "OC-ADAPT-5020i")

SPEC = specs.load()
ROWS = [*SPEC.engine_errors("vllm"), *SPEC.engine_errors("any")]
LATENCY = "vllm:e2e_request_latency_seconds_sum 20\nvllm:e2e_request_latency_seconds_count 10"
KEPT_S = 6.0
"""Longer than an idle connection is kept, after an answer that was whole."""
BOUNDS = {"first_token_ms": 3000, "idle_ms": 1250}


@pytest.mark.req("OC-ADAPT-5020b", "OC-ADAPT-5020c")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
async def test_each_row_has_its_error(row: EngineError, autojump_clock: MockClock) -> None:
    fault = fault_of(row)
    async with open_rig(fault.script, timeouts=BOUNDS) as rig:
        await rig.adapter.health()
        if fault.is_down:
            rig.double.stop()
        outcome = await read(rig.adapter, request(deadline_ms=fault.deadline_ms))
        await trio.sleep(KEPT_S)
        assert (rig.double.facts.live, rig.double.facts.connections) == (0, 0)
    error = outcome.error
    assert error is not None
    assert (error.kind, error.retriable, error.blames_request) == (row.kind, row.retriable, row.blames_request)
    assert error.message.startswith("completion: ")
    assert all(words in error.message for words in fault.mentions), error.message
    assert fault.status is None or (error.upstream_status, f"HTTP {fault.status}" in error.message) == (
        fault.status,
        True,
    )
    assert error.retry_after_ms is None
    assert "end" not in outcome.kinds


@pytest.mark.parametrize(
    ("steps", "kind", "tokens"),
    [
        ((Overload(),), "PoolUnavailable", 0),
        ((Text("a"), Fail(500, "InternalServerError", "broken", in_stream=True)), "WorkerReset", 1),
        ((Text("a"), Pause(1), Reset()), "WorkerReset", 1),
        ((Text("a"), Pause(1), Die(down_s=9)), "WorkerReset", 1),
        ((Text("a"), Cut(clean=True)), "WorkerReset", 1),
    ],
)
async def test_the_engines_own_ways_to_fail(
    steps: tuple[Step, ...], kind: str, tokens: int, autojump_clock: MockClock
) -> None:
    async with open_rig(Script(steps), engine=VllmSettings(queue=0)) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.retriable) == (kind, True)
    assert sum(isinstance(event, Token) for event in outcome.events) == tokens


@pytest.mark.req("OC-ADAPT-5020b")
async def test_an_engine_that_dies_takes_its_streams_and_then_its_server_along(autojump_clock: MockClock) -> None:
    outcome = Outcome()
    async with open_rig(Script.of(Text("a"), Pause(5), Text("b"))) as rig:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, rig.adapter, request(), outcome)
            await trio.sleep(1)
            rig.double.break_engine()
        assert outcome.error is not None
        assert (outcome.error.kind, outcome.error.retriable) == ("WorkerReset", True)
        health = await rig.adapter.health()
        assert (health.live, health.ready, health.detail) == (True, False, "HTTP 503: empty body")
        after = (await read(rig.adapter, request())).error
        assert after is not None
        assert (after.kind, after.upstream_status) == ("WorkerReset", 500)
        await trio.sleep(2)
        gone = (await read(rig.adapter, request())).error
        assert gone is not None
        assert gone.kind == "PoolUnavailable"
        assert not (await rig.adapter.health()).live


@pytest.mark.req("OC-ADAPT-5020j")
async def test_an_overloaded_engine_is_silent_and_told_from_a_stuck_one(autojump_clock: MockClock) -> None:
    takes_the_seat = Script.of(Accept(), Text("a"), Stall())
    engine, timeouts = VllmSettings(slots=1), {"first_token_ms": 3000}
    async with open_rig(takes_the_seat, engine=engine, timeouts=timeouts) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, request(), Outcome())
        await trio.sleep(0.5)
        late = trio.current_time() + 3
        error = (await read(rig.adapter, request())).error
        assert trio.current_time() == late
        nursery.cancel_scope.cancel()
    assert error is not None
    assert (error.kind, error.retriable, error.retry_after_ms) == ("DeadlineUnmet", True, None)
    assert error.message == "completion: no first token within 3 s: 1 wait in the engine's queue"


@pytest.mark.req("OC-ADAPT-5020j")
async def test_the_wait_is_worked_out_from_the_queue(autojump_clock: MockClock) -> None:
    export = (
        b"vllm:num_requests_waiting 6\nvllm:num_requests_running 4\n"
        b"vllm:e2e_request_latency_seconds_sum 30\nvllm:e2e_request_latency_seconds_count 10\n"
    )
    async with open_rig(Script.of(Overload()), timeouts=BOUNDS) as rig:
        rig.double.load(Script.of(Answer(200, export)), path="/metrics")
        error = (await read(rig.adapter, request())).error
        assert error is not None
        assert (error.kind, error.retry_after_ms) == ("DeadlineUnmet", 4500)
        assert (
            await read(rig.adapter, request(deadline_ms=500))
        ).error is not None  # its own deadline stays what it is


@pytest.mark.req("OC-ADAPT-5020j")
@pytest.mark.parametrize("metrics", [(Stall(),), (Reset(),), (Fail(404, "NotFoundError", "Not Found"),)])
async def test_a_silence_that_nobody_explains_is_one(metrics: tuple[Step, ...], autojump_clock: MockClock) -> None:
    async with open_rig(Script.of(Overload()), timeouts=BOUNDS) as rig:
        await rig.adapter.health()
        rig.double.load(Script(metrics), path="/metrics")
        error = (await read(rig.adapter, request())).error
        assert 3.0 <= trio.current_time() <= 3.25
    assert error is not None
    assert (error.kind, error.retriable) == ("DecodeTimeout", True)


@pytest.mark.req("OC-ADAPT-5020j", "ADAPT-3101")
async def test_a_cancel_does_not_wait_for_an_explanation(autojump_clock: MockClock) -> None:
    task, outcome = request(), Outcome()
    async with open_rig(Script.of(Overload()), timeouts=BOUNDS) as rig, trio.open_nursery() as nursery:
        await rig.adapter.health()
        rig.double.load(Script.of(Stall()), path="/metrics")
        nursery.start_soon(read, rig.adapter, task, outcome)
        await trio.sleep(3.1)
        await rig.adapter.cancel(task.task_id)
        await wait_all_tasks_blocked()
        assert trio.current_time() == 3.1
        assert outcome.kinds == ["started", "end"]


@pytest.mark.parametrize(
    ("export", "line"),
    [
        ("", None),
        ("vllm:num_requests_waiting 0", None),
        ("vllm:num_requests_waiting 2", Line(2, None)),
        ("vllm:num_requests_waiting 2\nvllm:e2e_request_latency_seconds_count 0", Line(2, None)),
        (f"vllm:num_requests_waiting 9\n{LATENCY}", Line(9, 18_000)),
        (f"vllm:num_requests_waiting 9\nvllm:num_requests_running 3\n{LATENCY}", Line(9, 6000)),
        (f"vllm:num_requests_waiting 999999\n{LATENCY}", Line(999_999, 120_000)),
    ],
)
def test_a_queue_is_read_from_the_metrics(export: str, line: Line | None) -> None:
    assert line_of(samples(export.encode())) == line


@pytest.mark.parametrize("steps", [(Stall(),), (Accept(), Stall()), (Text("a"), Pause(1)) * 9])
@pytest.mark.parametrize("bound", ["deadline", "total"])
async def test_the_whole_is_bounded_by_deadline_and_setting(
    steps: tuple[Step, ...], bound: str, autojump_clock: MockClock
) -> None:
    timeouts = {"total_ms": 2125} if bound == "total" else {}
    async with open_rig(Script(steps), timeouts=timeouts) as rig:
        outcome = await read(rig.adapter, request(deadline_ms=2125 if bound == "deadline" else None))
        assert trio.current_time() == 2.125
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.retriable) == ("DeadlineUnmet", False)


@pytest.mark.req("HTU-1005")
async def test_connecting_is_bounded(autojump_clock: MockClock) -> None:
    async with open_rig(link=Link(connect_s=3600), timeouts={"connect_ms": 700, "health_ms": 100}) as rig:
        error = (await read(rig.adapter, request())).error
        assert trio.current_time() <= 0.9
    assert error is not None
    assert (error.kind, error.retriable) == ("PoolUnavailable", True)


@pytest.mark.parametrize("workload", [Workload.EMBEDDING, Workload.RERANK])
@pytest.mark.parametrize(
    ("steps", "kind", "retriable"),
    [
        ((Fail(501, "NotImplementedError", f"off {SECRET}"),), "Adapter", False),
        ((Fail(503, "Service Unavailable", "busy"),), "PoolUnavailable", True),
        ((Reset(),), "WorkerReset", True),
        ((Accept(), Text("{"), Cut(clean=False)), "WorkerReset", True),
        ((Stall(),), "DeadlineUnmet", True),
        ((Answer(200, b"<html>", "text/html"),), "Adapter", False),
    ],
)
async def test_calls_that_are_no_stream_fail_alike(
    workload: Workload, steps: tuple[Step, ...], kind: str, retriable: bool, autojump_clock: MockClock
) -> None:
    async with open_rig() as rig:
        for path in ("/v1/embeddings", "/rerank"):
            rig.double.load(Script(steps), path=path)
        outcome = await read(rig.adapter, request("q", workload=workload, inputs=("a",)))
    error = outcome.error
    assert error is not None
    assert (error.kind, error.retriable) == (kind, retriable)
    assert error.message.startswith(f"{workload}: ")
    assert SECRET not in error.message
    assert outcome.events == []


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("in_stream", [False, True])
async def test_secrets_of_the_service_and_of_the_adapter_are_masked(in_stream: bool) -> None:
    key = "plain-looking-key-of-the-engine"
    words = f"your key {key} is odd, {SERVICE_SECRET}"
    steps = (
        (Text("a"), Fail(500, "InternalServerError", words, in_stream=True))
        if in_stream
        else (Fail(400, "BadRequestError", words),)
    )
    async with open_rig(Script(steps), api_key=key) as rig:
        error = (await read(rig.adapter, request())).error
        assert key not in repr(rig.adapter)
    assert error is not None
    assert key not in repr(error)
    assert SERVICE_SECRET not in repr(error)


async def test_a_wrong_key_is_told_apart() -> None:
    async with open_rig(engine=VllmSettings(api_key="right-key-0123"), api_key="wrong-key-0123") as rig:
        outcome = await read(rig.adapter, request())
        assert (await rig.adapter.health()).ready  # the server's own health route is open
        assert outcome.error is not None
        assert (outcome.error.upstream_status, outcome.error.blames_request) == (401, False)
    async with open_rig(engine=VllmSettings(api_key="right-key-0123"), api_key="right-key-0123") as rig:
        assert (await read(rig.adapter, request(max_tokens=2))).kinds[-1] == "end"
