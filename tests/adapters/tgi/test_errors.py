"""Every way in which TGI, or the way to it, fails, and the one error that comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import specs
from conformance.engines.script import (
    Accept,
    Answer,
    Cut,
    Die,
    Fail,
    Loading,
    Malformed,
    Overload,
    Pause,
    Reset,
    Script,
    Stall,
    Step,
    Text,
)
from conformance.engines.tgi import TgiSettings
from conformance.wire_faults import ANY, fault_of
from tests.adapters.rig import SECRET, SERVICE_SECRET, Outcome, read, request
from tests.adapters.tgi.rig import open_rig

if TYPE_CHECKING:
    from trio.testing import MockClock

    from adapter_api import TaskRequest, WorkerError

pytestmark = pytest.mark.req("ADAPT-3002", "HTU-1006", "AH-1005", "OC-ADAPT-5040c", "OC-ADAPT-5040m")

SPEC = specs.load()
ROWS = [*SPEC.engine_errors("tgi"), *SPEC.engine_errors(ANY)]
BOUNDS = {"first_token_ms": 8000, "idle_ms": 4000}


async def failure_of(*steps: Step, task: TaskRequest | None = None, **settings: object) -> WorkerError:
    async with open_rig(Script.of(*steps), **settings) as rig:  # type: ignore[arg-type]
        return error_of(await read(rig.adapter, task or request()))


def error_of(outcome: Outcome) -> WorkerError:
    assert outcome.error is not None
    return outcome.error


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
async def test_every_row_of_the_table(row: specs.EngineError, autojump_clock: MockClock) -> None:
    fault = fault_of(row)
    async with open_rig(fault.script, timeouts=BOUNDS) as rig:
        if fault.is_down:
            rig.double.stop()
        error = error_of(await read(rig.adapter, request(deadline_ms=fault.deadline_ms)))
        assert (error.kind, error.retriable, error.blames_request) == (row.kind, row.retriable, row.blames_request)
        assert error.message.startswith("completion: ")
        assert all(words in error.message for words in fault.mentions)
        if fault.status is not None:
            assert error.upstream_status == fault.status
            assert f"HTTP {fault.status}" in error.message


async def test_an_overload_comes_inside_a_200(autojump_clock: MockClock) -> None:
    """The engine's own way: no permit is left."""
    script = Script.of(Accept(), Stall())
    async with open_rig(script, engine=TgiSettings(permits=2)) as rig, trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(read, rig.adapter, request())
        await rig.settle()
        outcome = await read(rig.adapter, request())
        assert outcome.events == []
        error = error_of(outcome)
        assert (error.kind, error.retriable, error.upstream_status) == ("PoolUnavailable", True, 200)
        assert error.message == "completion: HTTP 200: Model is overloaded"
        nursery.cancel_scope.cancel()


async def test_a_request_beyond_the_batch_waits_inside_the_engine(autojump_clock: MockClock) -> None:
    first, second = Script.of(Text("a"), Pause(3)), Script.of(Text("b"))
    async with open_rig(first, second, engine=TgiSettings(permits=2, batch=1)) as rig, trio.open_nursery() as nursery:
        nursery.start_soon(read, rig.adapter, request())
        await trio.sleep(0.5)
        assert (await read(rig.adapter, request())).text == "b"
        assert trio.current_time() == 3


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (request(max_tokens=0), "`max_new_tokens` must be strictly positive"),
        (request(max_tokens=5000), "`inputs` tokens + `max_new_tokens` must be <= 2048"),
        (request("word " * 1500), "`inputs` must have less than 1024 tokens"),
        (request(""), "`inputs` cannot be empty"),
    ],
)
async def test_the_engines_validation_blames_the_request(
    autojump_clock: MockClock, task: TaskRequest, words: str
) -> None:
    error = await failure_of(task=task)
    assert (error.kind, error.retriable, error.blames_request) == ("Adapter", False, True)
    assert words in error.message


async def test_a_number_beyond_the_engines_type(autojump_clock: MockClock) -> None:
    error = await failure_of(task=request(max_tokens=2**33))
    assert (error.kind, error.upstream_status, error.blames_request) == ("Adapter", 422, True)


async def test_a_failed_batch_hits_everybody_in_it(autojump_clock: MockClock) -> None:
    doom = Fail(424, "generation", "Request failed during generation: CUDA error", in_stream=True, whole_batch=True)
    scripts = Script.of(Text("a"), Stall()), Script.of(Text("b"), Pause(1), doom), Script.of(Text("c"))
    engine = TgiSettings(permits=3, batch=2)
    outcomes = [Outcome() for _ in scripts]
    async with open_rig(*scripts, engine=engine) as rig, trio.open_nursery() as nursery:
        for outcome in outcomes:
            nursery.start_soon(read, rig.adapter, request(), outcome)
            await trio.sleep(0.1)
    for outcome in outcomes[:2]:
        assert error_of(outcome).kind == "WorkerReset"
        assert error_of(outcome).retriable
    assert outcomes[2].error is None  # it was still waiting
    assert [outcome.text for outcome in outcomes] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("steps", "kind", "retriable", "says"),
    [
        ((Reset(),), "WorkerReset", True, ""),
        ((Text("a"), Reset()), "WorkerReset", True, ""),
        ((Loading(5),), "WorkerReset", True, ""),
        ((Text("a"), Die(1, 2)), "WorkerReset", True, ""),
        ((Text("a"), Cut(clean=True)), "WorkerReset", True, "end marker"),
        ((Accept(), Cut(clean=True)), "WorkerReset", True, "end marker"),
        ((Malformed(b'data: {"index":1}\n\n'),), "Adapter", False, ""),
        ((Malformed(b'data: {"token":{"text":"\xff"}}\n\n'),), "Adapter", False, ""),
        ((Answer(502, b"<html>bad gateway</html>", "text/html"),), "PoolUnavailable", True, "HTTP 502"),
        ((Answer(503, b""),), "PoolUnavailable", True, "HTTP 503"),
        ((Answer(504, b""),), "DeadlineUnmet", True, "HTTP 504"),
        ((Overload(),), "PoolUnavailable", True, "overloaded"),
        ((Answer(500, b"panic"),), "Internal", False, "HTTP 500: panic"),
    ],
)
async def test_the_way_to_the_engine(
    autojump_clock: MockClock, steps: tuple[Step, ...], kind: str, retriable: bool, says: str
) -> None:
    error = await failure_of(*steps)
    assert (error.kind, error.retriable) == (kind, retriable)
    assert says in error.message


@pytest.mark.parametrize(
    ("kind", "means"),
    [
        ("overloaded", "PoolUnavailable"),
        ("healthcheck", "PoolUnavailable"),
        ("generation", "WorkerReset"),
        ("incomplete_generation", "WorkerReset"),
        ("incomplete_generation_stream", "WorkerReset"),
        ("stream_serialization_error", "Internal"),
        ("validation", "Adapter"),
        ("template_error", "Adapter"),
        ("missing_template_variable", "Adapter"),
        ("tool_error", "Adapter"),
    ],
)
async def test_the_type_decides_whatever_the_words(autojump_clock: MockClock, kind: str, means: str) -> None:
    said = Answer(500, b'{"error":"boo","error_type":"%b"}' % kind.encode(), "application/json")
    in_stream = Malformed(b'data: {"error":"boo","error_type":"%b"}\n\n' % kind.encode())
    assert [(await failure_of(step)).kind for step in (said, in_stream)] == [means, means]


async def test_advice_of_a_proxy_when_to_come_back(autojump_clock: MockClock) -> None:
    error = await failure_of(Answer(429, b"slow down", headers=(("retry-after", "3"),)))
    assert (error.kind, error.retry_after_ms) == ("PoolUnavailable", 3000)


async def test_a_wrong_key_is_not_the_callers_fault(autojump_clock: MockClock) -> None:
    error = await failure_of(engine=TgiSettings(api_key="right"), api_key="wrong")
    assert (error.kind, error.upstream_status, error.blames_request) == ("Adapter", 401, False)
    async with open_rig(engine=TgiSettings(api_key="right"), api_key="right") as rig:
        assert (await read(rig.adapter, request())).error is None


async def test_secrets_in_the_engines_words_are_masked(autojump_clock: MockClock) -> None:
    words = f"Request failed during generation: {SECRET} and {SERVICE_SECRET} and my-own-key-0123456789"
    error = await failure_of(Fail(424, "generation", words), api_key="my-own-key-0123456789")
    assert SECRET not in error.message
    assert SERVICE_SECRET not in error.message
    assert "my-own-key-0123456789" not in error.message


async def test_a_long_complaint_is_cut(autojump_clock: MockClock) -> None:
    error = await failure_of(Fail(422, "validation", "x" * 100_000))
    assert len(error.message) < 400


async def test_the_deadline_holds_before_the_stream_too(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Stall()), path="/info")
        error = error_of(await read(rig.adapter, request(deadline_ms=700)))
        assert error.kind == "DeadlineUnmet"
        assert trio.current_time() == pytest.approx(0.7)
