"""What becomes of a task, its stream and the next one when the engine fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from conformance.engines.llamacpp import LlamaSettings
from conformance.engines.script import (
    Accept,
    Cut,
    Fail,
    Finish,
    Malformed,
    Pause,
    Reset,
    Script,
    Stall,
    Step,
    Text,
    Usage,
)
from tests.support.service import configuration, open_llama, open_service

if TYPE_CHECKING:
    from trio.testing import MockClock

FAST = {"timeouts": {"first_token_ms": 5000, "idle_ms": 2000}}


@pytest.mark.req("OC-CTRL-2028", "OC-CTRL-2028a", "OC-CTRL-2029")
async def test_an_engine_killed_mid_stream_is_one_error_frame_and_nothing_after(autojump_clock: MockClock) -> None:
    async with open_llama(engine=LlamaSettings(slots=1, token_s=0.1), pool={"probe_interval_ms": 500}) as opened:
        service, double = opened
        task_id = await service.admit(engine="llamacpp", max_tokens=200)
        events = await service.open_stream(task_id)
        await events.until("token", count=5)
        double.stop()
        await events.rest()
        assert events.kinds.count("error") == 1
        error = events.frames[-1]
        assert error.event == "error"
        assert (error.data["code"], error.data["retriable"], error.data["engine"]) == ("WORKER_RESET", True, "llamacpp")
        assert error.data.keys() <= {"code", "message", "retriable", "retry_after_ms", "engine"}
        assert (await service.state(task_id))["state"] == "failed"
        await trio.sleep(1)
        assert service.pool.active_leases == 0
        assert (await service.call("GET", "/readyz")).status == 503
        double.start()
        await trio.sleep(2)
        assert (await service.read(await service.admit(engine="llamacpp"))).kinds[-1] == "end"


@pytest.mark.req("OC-CORE-1023", "OC-CTRL-2028")
@pytest.mark.parametrize(
    ("script", "after_s", "code"),
    [
        (Script.of(Text("one"), Stall()), 2, "DECODE_TIMEOUT"),
        (Script.of(Accept(), Stall()), 5, "DECODE_TIMEOUT"),
        (Script.of(Pause(1), Stall()), 5, "DEADLINE_UNMET"),  # no answer at all: the engine keeps the request waiting
    ],
)
async def test_a_stalled_engine_is_given_up(
    script: Script, after_s: float, code: str, autojump_clock: MockClock
) -> None:
    async with open_llama(script, engine=LlamaSettings(slots=1), settings=FAST) as (service, double):
        began = trio.current_time()
        events = await service.read(await service.admit(engine="llamacpp"))
        assert events.frames[-1].data["code"] == code
        assert after_s <= trio.current_time() - began < after_s + 1
        await trio.sleep(5)
        assert (service.pool.active_leases, double.facts.live) == (0, 0)


@pytest.mark.req("OC-CTRL-2028a", "AH-1005", "AH-1005a")
@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([Text("a"), Cut(clean=True)], "WORKER_RESET"),
        ([Text("a"), Cut(clean=False)], "WORKER_RESET"),
        ([Text("a"), Reset()], "WORKER_RESET"),
        ([Reset()], "WORKER_RESET"),
        ([Text("a"), Malformed(b"data: {]\n\n"), Finish()], "INTERNAL"),
        ([Fail(400, "invalid_request_error", "n_predict is wrong")], "INVALID_PARAMS"),
        ([Text("a"), Fail(500, "server_error", "compute error", in_stream=True)], "WORKER_RESET"),
        ([Fail(503, "unavailable_error", "Loading model")], "POOL_UNAVAILABLE"),
    ],
)
async def test_every_way_to_fail_is_one_error_frame(steps: list[Step], code: str, autojump_clock: MockClock) -> None:
    async with open_llama(Script(tuple(steps)), engine=LlamaSettings(slots=1)) as (service, _):
        events = await service.read(await service.admit(engine="llamacpp"))
        assert events.kinds[0] == "started"
        assert events.frames[-1].event == "error"
        assert events.frames[-1].data["code"] == code
        assert [frame.id for frame in events.frames] == list(range(1, len(events.frames) + 1))
        await trio.sleep(5)
        assert service.pool.active_leases == 0


@pytest.mark.req("OC-CTRL-2027f", "OC-CTRL-2027e")
async def test_the_counts_and_the_text_are_the_engine_s_own(autojump_clock: MockClock) -> None:
    script = Script.of(Text("Käse "), Text("sk-abcdefghijklmnopqrstuvwx "), Text("🧀"), Usage(11, 42), Finish())
    async with open_llama(script) as (service, _):
        events = await service.read(await service.admit(engine="llamacpp"))
        assert events.text == "Käse sk-abcdefghijklmnopqrstuvwx 🧀"
        end = events.frames[-1].data
        assert (end["tokens_out"], end["tokens_in"]) == (42, 11)
        assert end["decode_time_ms"] == end["decode_ms"]
        assert await service.metric("tokens_out_total") == 42


@pytest.mark.req("OC-CORE-1022", "OC-CORE-1020")
async def test_a_deadline_that_passes_stops_the_engine(autojump_clock: MockClock) -> None:
    async with open_llama(engine=LlamaSettings(slots=1, token_s=0.1)) as (service, double):
        admitted = trio.current_time()
        events = await service.read(await service.admit(engine="llamacpp", max_tokens=500, deadline_ms=3000))
        assert trio.current_time() - admitted == pytest.approx(3, abs=0.1)
        assert events.frames[-1].data["code"] == "DEADLINE_UNMET"
        assert events.kinds.count("token") > 10
        await trio.sleep(5)
        assert (service.pool.active_leases, double.facts.live) == (0, 0)


@pytest.mark.req("OC-CORE-1020", "OC-CORE-1022")
async def test_a_deadline_that_passes_in_the_queue_ends_the_task_there(autojump_clock: MockClock) -> None:
    async with open_service(configuration({"slots": 1, "script": [{"do": "started"}, {"do": "stall"}]})) as service:
        await service.admit()
        waiting = await service.admit(deadline_ms=4000)
        events = await service.read(waiting)
        assert events.frames[-1].data["code"] == "DEADLINE_UNMET"
        assert trio.current_time() == pytest.approx(4, abs=0.1)
        assert len(service.pool.queue) == 0


@pytest.mark.req("OC-CTRL-2032a", "AH-1005b")
async def test_what_nobody_can_name_is_told_to_the_log_only(autojump_clock: MockClock) -> None:
    script = [{"do": "started"}, {"do": "error", "kind": "Internal", "message": "stack of the engine"}]
    async with open_service(configuration({"script": script})) as service:
        events = await service.read(await service.admit())
        assert events.frames[-1].data["code"] == "INTERNAL"
        assert "stack of the engine" not in str(events.frames[-1].data["message"])
        assert any("stack of the engine" in str(line.get("detail")) for line in service.logged("internal"))
