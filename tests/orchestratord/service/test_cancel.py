"""A cancel at any moment: acknowledged in time, no token after it, and everything given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from conformance.engines.llamacpp import LlamaSettings
from conformance.engines.script import Script, Stall, Text
from tests.support.service import configuration, open_llama, open_service

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.raw_http import Events, Reply
    from tests.support.service import Service

ACKNOWLEDGED = b"HTTP/1.1 204"
PACE = {"slots": 1, "tokens_per_second": 10}
STALLING = [{"do": "started"}, {"do": "token", "text": "one"}, {"do": "stall"}]


async def free(service: Service) -> None:
    """Check that nothing is held, by the service's own word, within the grace of a slot."""
    await trio.sleep(5)
    assert (service.pool.active_leases, len(service.pool.queue)) == (0, 0)
    assert await service.metric("active_leases") == 0
    assert await service.metric("queue_depth") == 0


def check_canceled(events: Events, reply: Reply) -> None:
    assert (reply.status, reply.body) == (204, b"")
    assert "content-length" not in reply.headers
    last = events.frames[-1]
    assert last.event == "end"
    assert last.data["canceled"] is True
    assert last.data["finish_reason"] == "canceled"
    assert last.data["tokens_out"] == events.kinds.count("token")
    assert last.data["decode_time_ms"] == last.data["decode_ms"]


@pytest.mark.req("SSE-1002b", "OC-CORE-1005", "OC-CTRL-2012")
async def test_cancel_in_the_queue(autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE)) as service:
        running, waiting = await service.admit(max_tokens=20), await service.admit()
        events = await service.open_stream(waiting)
        await events.until("started")
        reply = await service.cancel(waiting)
        assert len(service.pool.queue) == 0
        await events.rest()
        check_canceled(events, reply)
        assert (await service.state(running))["state"] == "running"
        assert await service.metric("tasks_canceled_total", reason="client", replica_id="unplaced") == 1
        await service.read(running)
        await free(service)


@pytest.mark.req("SSE-1002b", "SSE-1002f")
async def test_cancel_during_prefill(autojump_clock: MockClock) -> None:
    async with open_llama(engine=LlamaSettings(slots=1, prefill_s=20)) as (service, double):
        task_id = await service.admit(engine="llamacpp")
        events = await service.open_stream(task_id)
        await trio.sleep(3)
        began = trio.current_time()
        reply = await service.cancel(task_id)
        assert trio.current_time() - began < 1
        await events.rest()
        check_canceled(events, reply)
        assert events.kinds.count("token") == 0
        assert await service.metric("active_leases") == 1
        await free(service)
        assert double.facts.live == 0
        assert len(double.facts.gone) == 1


@pytest.mark.req("SSE-1002", "SSE-1002b", "SSE-1002f", "SSE-1003")
async def test_cancel_mid_stream_frees_the_engine(autojump_clock: MockClock) -> None:
    async with open_llama(engine=LlamaSettings(slots=1, token_s=0.1)) as (service, double):
        task_id = await service.admit(engine="llamacpp", max_tokens=200)
        events = await service.open_stream(task_id)
        await events.until("token", count=5)
        reply = await service.cancel(task_id)
        await events.rest()
        check_canceled(events, reply)
        assert events.kinds.count("token") < 10
        slot = (await service.call("GET", "/v1/pools/default/health")).data["metrics"]
        assert isinstance(slot, dict)
        assert slot["active_leases"] == 1
        await free(service)
        assert double.facts.live == 0
        assert (await service.state(task_id))["state"] == "canceled"


@pytest.mark.req("SSE-1002", "SSE-1002b")
@pytest.mark.parametrize("tick", range(12))
@pytest.mark.parametrize("token_s", [0.05, 0.1])
async def test_cancel_at_the_very_moment_of_a_token(tick: int, token_s: float, autojump_clock: MockClock) -> None:
    """The times of tokens and of the cancel are the same numbers: whoever goes first, the rule holds."""
    pace = {"slots": 1, "tokens_per_second": 1 / token_s}
    async with open_service(configuration(pace)) as service:
        task_id = await service.admit(max_tokens=10)
        admitted = trio.current_time()
        events = await service.open_stream(task_id)

        async def cancel() -> None:
            await trio.sleep_until(admitted + tick * token_s)
            assert (await service.cancel(task_id)).status == 204

        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel)
            nursery.start_soon(events.rest)
        state = str((await service.state(task_id))["state"])
        assert events.kinds[0] == "started"
        assert events.kinds[-1] == "end"
        assert events.frames[-1].data.get("canceled", False) == (state == "canceled")
        assert state in {"canceled", "ended"}
        assert (state == "ended") == (events.kinds.count("token") == 10)
        assert b"event: token" not in service.sent_after_first(ACKNOWLEDGED)
        await free(service)


@pytest.mark.req("SSE-1002c")
async def test_cancel_after_the_end_changes_nothing(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        task_id = await service.admit()
        before = (await service.read(task_id)).frames
        replies = [await service.cancel(task_id), await service.call("DELETE", f"/v1/tasks/{task_id}")]
        assert [reply.status for reply in replies] == [204, 204]
        assert (await service.read(task_id)).frames == before
        assert (await service.state(task_id))["state"] == "ended"
        assert await service.metric("tasks_canceled_total") == 0


@pytest.mark.req("SSE-1002c", "OC-CTRL-2004b")
async def test_a_repeated_cancel_is_the_first_one(autojump_clock: MockClock) -> None:
    async with open_service(configuration({"slots": 1, "script": STALLING})) as service:
        task_id = await service.admit()
        events = await service.open_stream(task_id)
        await events.until("token")
        replies: list[int] = []

        async def cancel(method: str, path: str) -> None:
            replies.append((await service.call(method, path)).status)

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(cancel, "POST", f"/v1/tasks/{task_id}/cancel")
                nursery.start_soon(cancel, "DELETE", f"/v1/tasks/{task_id}")
        await events.rest()
        assert replies == [204] * 6
        assert events.kinds == ["started", "token", "end"]
        assert await service.metric("tasks_canceled_total", reason="client") == 1
        await free(service)


@pytest.mark.req("SSE-1002e")
async def test_a_hung_engine_does_not_hold_the_acknowledgement(autojump_clock: MockClock) -> None:
    script = Script.of(Text("one"), Stall())
    async with open_llama(script, engine=LlamaSettings(slots=1, release_s=60)) as (service, double):
        task_id = await service.admit(engine="llamacpp")
        events = await service.open_stream(task_id)
        await events.until("token")
        began = trio.current_time()
        reply = await service.cancel(task_id)
        assert trio.current_time() - began <= 1
        await events.rest()
        check_canceled(events, reply)
        assert double.slots.busy == 1
        await free(service)


@pytest.mark.req("SSE-1002", "SSE-1002a", "SSE-1002e", "SSE-1004")
async def test_no_token_byte_is_read_after_the_acknowledgement_even_from_a_stuck_write(
    autojump_clock: MockClock,
) -> None:
    """Two readers: one reads all the time, one has stopped with a write of the service's under way."""
    pieces = [{"do": "started"}, *({"do": "token", "text": "x" * 300} for _ in range(500)), {"do": "stall"}]
    async with open_service(configuration({"slots": 1, "script": pieces})) as service:
        task_id = await service.admit()
        reading = await service.open_stream(task_id)
        stuck = await service.open_stream(task_id, capacity=700)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.rest)
            await trio.sleep(1)
            assert service.pool.active_leases == 1
            began = trio.current_time()
            reply = await service.cancel(task_id)
            acknowledged = trio.current_time()
        assert acknowledged - began <= 1
        check_canceled(reading, reply)
        assert b"event: token" not in service.sent_after_first(ACKNOWLEDGED)
        assert len(await rest_of(stuck)) <= 700, "more arrives than was under way when the cancel was acknowledged"
        await free(service)


@pytest.mark.req("SSE-1002", "SSE-1002a")
async def test_what_waits_behind_a_slow_write_is_dropped(autojump_clock: MockClock) -> None:
    pieces = [{"do": "started"}, *({"do": "token", "text": "x" * 300} for _ in range(20)), {"do": "stall"}]
    async with open_service(configuration({"slots": 1, "script": pieces})) as service:
        task_id = await service.admit()
        events = await service.open_stream(task_id, capacity=300)
        await trio.sleep(1)
        assert (await service.state(task_id))["token_frames"] == 20
        async with trio.open_nursery() as nursery:
            replies: list[Reply] = []

            async def cancel() -> None:
                replies.append(await service.cancel(task_id))

            nursery.start_soon(cancel)
            await trio.sleep(0.5)
            assert not replies, "acknowledged while a token was being written"
            await events.rest()
        assert replies[0].status == 204
        assert events.kinds.count("token") < 20
        assert events.frames[-1].data["tokens_out"] == 20
        assert b"event: token" not in service.sent_after_first(ACKNOWLEDGED)


@pytest.mark.req("SSE-1002a")
async def test_a_reader_that_comes_after_the_cancel_sees_no_token_that_nobody_had_taken(
    autojump_clock: MockClock,
) -> None:
    async with open_service(configuration({"slots": 1, "script": STALLING})) as service:
        task_id = await service.admit()
        await trio.sleep(1)
        assert (await service.state(task_id))["token_frames"] == 1
        await service.cancel(task_id)
        late = await service.read(task_id)
        assert late.kinds[-1] == "end"
        assert "token" not in late.kinds


@pytest.mark.req("SSE-1002e", "OC-CTRL-2026a")
async def test_a_micro_batch_window_does_not_hold_the_acknowledgement(autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE, stream={"microbatch_ms": 900})) as service:
        task_id = await service.admit(max_tokens=100)
        events = await service.open_stream(task_id)
        await events.until("token")
        began = trio.current_time()
        assert (await service.cancel(task_id)).status == 204
        assert trio.current_time() == began
        await events.rest()
        assert events.frames[-1].data["canceled"] is True
        assert b"event: token" not in service.sent_after_first(ACKNOWLEDGED)


@pytest.mark.req("OC-CTRL-2012")
async def test_a_cancel_lets_the_next_task_start(autojump_clock: MockClock) -> None:
    async with open_service(configuration({"slots": 1, "scripts": [STALLING, [{"do": "started"}, {"do": "end"}]]})) as (
        service
    ):
        first, second = await service.admit(), await service.admit()
        await service.cancel(first)
        assert (await service.read(second)).kinds[-1] == "end"


async def rest_of(events: Events) -> bytes:
    """Return the bytes that still arrive, past the protocol."""
    left = b""
    try:
        while data := await events.client.receive():
            left += data
    except trio.BrokenResourceError:
        pass
    return left
