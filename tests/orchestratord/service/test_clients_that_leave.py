"""Clients that go away or stop reading take nothing with them that anybody else needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from conformance.engines.llamacpp import LlamaSettings
from tests.support.service import configuration, open_llama, open_service

if TYPE_CHECKING:
    from trio.testing import MockClock

PACE = {"slots": 1, "tokens_per_second": 10}
LONG = 10
"""The seed of an answer of 67 tokens; others have as few as 20."""
FLOOD = [{"do": "started"}, *({"do": "token", "text": "x" * 300} for _ in range(2000)), {"do": "end"}]


@pytest.mark.req("SSE-1003", "SSE-1003a")
async def test_closing_the_connection_mid_stream_cancels_the_task(autojump_clock: MockClock) -> None:
    async with open_llama(engine=LlamaSettings(slots=1, token_s=0.1)) as (service, double):
        task_id = await service.admit(engine="llamacpp", max_tokens=200)
        events = await service.open_stream(task_id)
        await events.until("token", count=3)
        await events.close()
        await trio.sleep(0.01)
        assert (await service.state(task_id))["state"] == "canceled"
        await trio.sleep(3)
        assert (double.facts.live, len(double.facts.gone)) == (0, 1)
        assert service.pool.active_leases == 0
        assert await service.metric("tasks_canceled_total", reason="disconnect") == 1
        assert service.connections <= 1


@pytest.mark.req("SSE-1003a", "OC-CORE-1005")
async def test_closing_the_connection_in_the_queue_gives_up_the_seat(autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE)) as service:
        await service.admit(max_tokens=100)
        waiting = await service.admit()
        events = await service.open_stream(waiting)
        await events.until("started")
        assert len(service.pool.queue) == 1
        await events.close()
        await trio.sleep(0.01)
        assert len(service.pool.queue) == 0
        assert (await service.state(waiting))["state"] == "canceled"


@pytest.mark.req("SSE-1003a")
async def test_the_task_lives_as_long_as_one_reader_does(autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE)) as service:
        task_id = await service.admit(max_tokens=20)
        one, two = await service.open_stream(task_id), await service.open_stream(task_id)
        await one.until("token")
        await one.close()
        await two.rest()
        assert two.kinds[-1] == "end"
        assert (await service.state(task_id))["state"] == "ended"


@pytest.mark.req("SSE-1003a")
async def test_a_task_that_nobody_has_read_yet_runs(autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE)) as service:
        task_id = await service.admit()
        await trio.sleep(10)
        assert (await service.state(task_id))["state"] == "ended"


@pytest.mark.req("SSE-1003a")
async def test_without_cancel_on_disconnect_the_task_runs_on(autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE, stream={"cancel_on_disconnect": False})) as service:
        task_id = await service.admit(max_tokens=20)
        events = await service.open_stream(task_id)
        await events.until("token")
        await events.close()
        await trio.sleep(10)
        assert (await service.state(task_id))["state"] == "ended"
        assert (await service.read(task_id)).kinds.count("token") == 20


@pytest.mark.req("SSE-1003b", "SSE-1003c")
@pytest.mark.parametrize("seen", [0, 1, 5])
async def test_a_client_that_comes_back_misses_nothing(seen: int, autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE, stream={"resume_window_ms": 3000})) as service:
        task_id = await service.admit(max_tokens=20)
        first = await service.open_stream(task_id)
        while len(first.frames) < seen:
            await first.__anext__()
        await first.close()
        await trio.sleep(2.5)
        again = await service.open_stream(task_id, after=seen)
        await again.rest()
        frames = [*first.frames[:seen], *again.frames]
        assert [frame.id for frame in frames] == list(range(1, len(frames) + 1))
        assert frames[-1].event == "end"
        assert (await service.read(task_id)).frames == frames


@pytest.mark.req("SSE-1003b")
async def test_the_resume_window_ends_the_task_that_nobody_comes_back_to(autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE, stream={"resume_window_ms": 3000})) as service:
        task_id = await service.admit(max_tokens=100, seed=LONG)
        events = await service.open_stream(task_id)
        await events.until("token")
        left_at = trio.current_time()
        await events.close()
        await trio.sleep(2.9)
        assert (await service.state(task_id))["state"] == "running"
        await trio.sleep(0.2)
        assert (await service.state(task_id))["state"] == "canceled"
        assert (await service.read(task_id)).frames[-1].data["canceled"] is True
        assert await service.metric("tasks_canceled_total", reason="disconnect") == 1
        assert trio.current_time() - left_at < 4


@pytest.mark.req("SSE-1003c")
@pytest.mark.parametrize("given", ["x", "-1", "1.5", "٣", "0x1"])
async def test_an_id_that_no_frame_can_have_is_refused(given: str, autojump_clock: MockClock) -> None:
    async with open_service() as service:
        task_id = await service.admit()
        headers = [("Last-Event-ID", given.encode().decode("latin-1"))]
        reply = await service.call("GET", f"/v1/tasks/{task_id}/stream", headers=headers)
        assert (reply.status, reply.code) == (400, "INVALID_PARAMS")
        assert reply.message.startswith("Last-Event-ID: ")
        assert (await service.state(task_id))["state"] == "running"


@pytest.mark.req("SSE-1003c")
@pytest.mark.parametrize("given", ["10", "11", "9" * 400, "9" * 5000])
async def test_an_id_at_or_past_the_end_gives_an_empty_rest(given: str, autojump_clock: MockClock) -> None:
    async with open_service() as service:
        task_id = await service.admit()
        await service.read(task_id)
        reply = await service.call("GET", f"/v1/tasks/{task_id}/stream", headers=[("Last-Event-ID", given)])
        assert (reply.status, reply.body) == (200, b"")


@pytest.mark.req("SSE-1004", "SSE-1004b")
async def test_a_client_that_stops_reading_is_cut_and_the_slot_is_free(autojump_clock: MockClock) -> None:
    config = configuration({"slots": 1, "script": FLOOD}, server={"client_stall_timeout_ms": 4000})
    async with open_service(config) as service:
        task_id = await service.admit()
        stuck = await service.open_stream(task_id, capacity=1000)
        await trio.sleep(3.9)
        held = await service.state(task_id)
        assert held["state"] == "running"
        assert int(str(held["token_frames"])) <= 300, "the engine was not slowed down"
        await trio.sleep(0.2)
        assert (await service.state(task_id))["state"] == "canceled"
        await trio.sleep(4)
        assert service.pool.active_leases == 0
        assert service.connections <= 1
        await stuck.close()


@pytest.mark.req("SSE-1004")
async def test_a_slow_client_slows_the_engine_down_and_gets_every_frame(autojump_clock: MockClock) -> None:
    flood = [{"do": "started"}, *({"do": "token", "text": f"{n} "} for n in range(400)), {"do": "end"}]
    async with open_service(configuration({"slots": 1, "script": flood})) as service:
        task_id = await service.admit()
        events = await service.open_stream(task_id, capacity=500)
        while events.kinds[-1:] != ["end"]:
            await events.__anext__()
            await trio.sleep(0.05)
            told = int(str((await service.state(task_id))["token_frames"]))
            assert told - events.kinds.count("token") <= 100
        assert events.text == "".join(f"{n} " for n in range(400))
        assert [frame.id for frame in events.frames] == list(range(1, 403))


@pytest.mark.req("SSE-1004")
async def test_a_stalled_client_does_not_stop_another_reader_of_the_same_task(autojump_clock: MockClock) -> None:
    config = configuration({"slots": 1, "script": FLOOD}, server={"client_stall_timeout_ms": 4000})
    async with open_service(config) as service:
        task_id = await service.admit()
        stuck = await service.open_stream(task_id, capacity=1000)
        reading = await service.open_stream(task_id)
        began = trio.current_time()
        await reading.rest()
        assert reading.kinds.count("token") == 2000
        assert trio.current_time() - began <= 5
        await stuck.close()


@pytest.mark.req("SSE-1004")
async def test_a_client_that_goes_away_in_the_middle_of_its_request_leaves_no_task_behind(
    autojump_clock: MockClock,
) -> None:
    async with open_service() as service:
        client = service.connect()
        await client.send_head("POST", "/v1/tasks", headers=[("Content-Length", "100")])
        await client.stream.send_all(b'{"task_id":')
        await trio.sleep(1)
        await client.close()
        await trio.sleep(1)
        assert service.connections == 0
        assert await service.metric("tasks_enqueued_total") == 0
