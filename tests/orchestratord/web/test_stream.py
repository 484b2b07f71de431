"""The stream on the wire: its headers, its frames against the documents, its times."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import trio
from jsonschema import Draft202012Validator

import specs
from conformance.engines.llamacpp import LlamaSettings
from tests.support.service import configuration, open_llama, open_service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.testing import MockClock

    from tests.support.raw_http import Frame

SPEC = specs.load()
ORDER = SPEC.frame_order("wire")
VALIDATORS = {event: Draft202012Validator(dict(SPEC.schema("wire", event))) for event in ORDER.events}
PACE = {"slots": 1, "tokens_per_second": 10}
BURSTS = [
    {"do": "started"},
    {"do": "token", "text": "a"},
    {"do": "metrics", "values": {"kv_warmth": True}},
    {"do": "pause", "ms": 1000},
    *({"do": "token", "text": text} for text in "bcd"),
    {"do": "pause", "ms": 1000},
    {"do": "token", "text": "e"},
    {"do": "end"},
]


def check(frames: Sequence[Frame]) -> None:
    """Hold a whole stream to the transition table, the schemas and the numbering."""
    state, tokens = ORDER.initial, 0
    for number, frame in enumerate(frames, 1):
        assert frame.id == number
        assert frame.event in ORDER.legal(state), [each.event for each in frames]
        state = ORDER.transitions[state, frame.event]
        VALIDATORS[frame.event].validate(frame.data)
        if frame.event == "token":
            assert frame.data["i"] == tokens
            tokens += 1
    assert state in ORDER.final


@pytest.mark.req("OC-CTRL-2025a", "OC-CTRL-2025b")
async def test_the_headers_of_a_stream(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        task_id = await service.admit()
        async with service.connect() as client:
            await client.send("GET", f"/v1/tasks/{task_id}/stream", headers=[("Accept-Encoding", "gzip, br")])
            head = await client.head()
        assert {name.lower() for name in SPEC.headers("stream")} <= head.headers.keys()
        assert head.headers["content-type"] == "text/event-stream"
        assert head.headers["cache-control"] == "no-cache"
        assert head.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in head.headers
        assert "content-length" not in head.headers


@pytest.mark.req(
    "OC-CTRL-2020", "OC-CTRL-2020a", "OC-CTRL-2020b", "OC-CTRL-2027", "OC-CTRL-2027b", "OC-CTRL-2027d", "OC-CTRL-2027c"
)
@pytest.mark.parametrize(
    "script",
    [
        None,
        BURSTS,
        [{"do": "started"}, {"do": "end"}],
        [{"do": "end"}],
        [{"do": "error", "kind": "WorkerReset"}],
        [{"do": "error", "kind": "PoolUnavailable", "retry_after_ms": 700}],
        [{"do": "started"}, {"do": "token", "text": "a"}, {"do": "error", "kind": "DecodeTimeout"}],
        [{"do": "started"}, {"do": "error", "kind": "Adapter", "blames_request": True, "as_event": True}],
        [{"do": "started"}, {"do": "reset"}],
        [{"do": "started"}, {"do": "started"}, {"do": "end"}],
        [{"do": "token", "text": "a"}, {"do": "started"}, {"do": "end"}],
        [{"do": "started"}, {"do": "token", "text": "\u2028\u2029\r\n\n\x00\x85🧀 data: x\n\nid: 9"}, {"do": "end"}],
    ],
    ids=lambda script: "-".join(step["do"] for step in script) if script else "made up",
)
async def test_whatever_the_engine_does_the_stream_is_legal(
    script: list[dict[str, object]] | None, autojump_clock: MockClock
) -> None:
    async with open_service(configuration({} if script is None else {"script": script})) as service:
        task_id = await service.admit(seed=3)
        events = await service.read(task_id)
        check(events.frames)
        assert (await service.read(task_id)).frames == events.frames
        said = "".join(str(step["text"]) for step in script or [] if step["do"] == "token")
        if events.kinds[-1] == "end" and script:
            assert events.text == said


@pytest.mark.req("OC-CTRL-2021", "OC-CTRL-2021a", "OC-CTRL-2021b", "OC-CTRL-2050")
async def test_started_goes_out_in_the_queue_and_metrics_tell_how_the_task_moves_up(
    autojump_clock: MockClock,
) -> None:
    async with open_service(configuration(PACE)) as service:
        ahead = [await service.admit(max_tokens=20) for _ in range(3)]
        last = await service.admit()
        opened_at = trio.current_time()
        events = await service.open_stream(last)
        started = await events.__anext__()
        assert started.at == opened_at
        assert (started.event, started.data["queue_position"]) == ("started", 2)
        assert int(str(started.data["predicted_start_ms"])) > 0
        await events.rest()
        check(events.frames)
        told = [frame.data for frame in events.frames if frame.event == "metrics" and "queue_position" in frame.data]
        assert list(dict.fromkeys(data["queue_position"] for data in told)) in ([2, 1, 0], [1, 0])
        assert all("predicted_start_ms" in data for data in told)
        assert all(one != next_one for one, next_one in itertools.pairwise(told)), "nothing had changed"
        assert len(ahead) == 3


@pytest.mark.req("OC-CTRL-2021b")
async def test_places_are_told_at_a_bounded_cadence(autojump_clock: MockClock) -> None:
    config = configuration({"slots": 1, "tokens_per_second": 100}, stream={"metrics_period_ms": 400})
    async with open_service(config) as service:
        for _ in range(20):
            await service.admit(max_tokens=5)
        events = await service.read(await service.admit())
        times = [frame.at for frame in events.frames if "queue_position" in frame.data and frame.event == "metrics"]
        assert len(times) >= 2
        assert all(later - earlier >= 0.399 for earlier, later in itertools.pairwise(times))


@pytest.mark.req("OC-CTRL-2026")
async def test_frames_leave_as_soon_as_they_exist(autojump_clock: MockClock) -> None:
    async with open_service(configuration({"slots": 1, "script": BURSTS})) as service:
        began = trio.current_time()
        events = await service.read(await service.admit())
        at = {frame.text: frame.at - began for frame in events.frames if frame.event == "token"}
        assert at == pytest.approx({"a": 0, "b": 1, "c": 1, "d": 1, "e": 2})


@pytest.mark.req("OC-CTRL-2026a")
async def test_a_micro_batch_window_gathers_frames_and_delays_none_for_longer(autojump_clock: MockClock) -> None:
    config = configuration({"slots": 1, "tokens_per_second": 100}, stream={"microbatch_ms": 200})
    async with open_service(config) as service:
        task_id = await service.admit(max_tokens=100)
        began = trio.current_time()
        events = await service.read(task_id)
        check(events.frames)
        tokens = [frame for frame in events.frames if frame.event == "token"]
        assert len({frame.at for frame in tokens}) <= 7
        assert all(frame.at - began <= 0.01 * (n + 1) + 0.21 for n, frame in enumerate(tokens))


@pytest.mark.req("OC-CTRL-2026b")
async def test_a_silent_stream_carries_heartbeats(autojump_clock: MockClock) -> None:
    config = configuration({"slots": 1, "script": BURSTS}, stream={"heartbeat_ms": 300})
    async with open_service(config) as service:
        began = trio.current_time()
        events = await service.read(await service.admit())
        check(events.frames)
        assert [at - began for at in events.heartbeats] == pytest.approx([0.3, 0.6, 0.9, 1.3, 1.6, 1.9])


@pytest.mark.req("OC-CTRL-2026b")
async def test_heartbeats_are_off_unless_asked_for(autojump_clock: MockClock) -> None:
    async with open_service(configuration({"slots": 1, "script": BURSTS})) as service:
        assert (await service.read(await service.admit())).heartbeats == []


@pytest.mark.req("ORCH-3301", "OC-CTRL-2027")
@pytest.mark.parametrize("cancels", [False, True])
async def test_narration_is_between_the_first_frame_and_the_last_and_not_for_each_token(
    cancels: bool, autojump_clock: MockClock
) -> None:
    async with open_service(configuration(PACE, stream={"narration": True, "narration_period_ms": 1000})) as service:
        task_id = await service.admit(max_tokens=30)
        events = await service.open_stream(task_id)
        await events.until("token", count=15)
        if cancels:
            assert (await service.cancel(task_id)).status == 204
        await events.rest()
        check(events.frames)
        assert 1 <= events.kinds.count("narration") <= 6
        assert events.frames[-1].data.get("canceled", False) is cancels
        assert not any(task_id in str(frame.data) for frame in events.frames if frame.event == "narration")


@pytest.mark.req("OC-CTRL-2022")
async def test_every_reader_gets_the_same_bytes(autojump_clock: MockClock) -> None:
    async with open_service(configuration(PACE)) as service:
        task_id = await service.admit(max_tokens=20)
        readers = [await service.open_stream(task_id)]
        await trio.sleep(1)
        readers.append(await service.open_stream(task_id, capacity=60))
        async with trio.open_nursery() as nursery:
            for reader in readers:
                nursery.start_soon(reader.rest)
        readers.append(await service.read(task_id))
        streams = [b"".join(piece for _, piece in reader.pieces) for reader in readers]
        assert len(set(streams)) == 1
        for reader in readers:
            await reader.close()


@pytest.mark.req("OC-CTRL-2021", "ADAPT-3003")
async def test_started_carries_what_makes_the_answer_repeatable(autojump_clock: MockClock) -> None:
    async with open_llama(engine=LlamaSettings(slots=1)) as (service, _):
        events = await service.read(await service.admit(engine="llamacpp", seed=7))
        check(events.frames)
        known = {**events.frames[0].data}
        for frame in events.frames:
            known.update(frame.data if frame.event == "metrics" else {})
        assert (known["engine"], known["pool_id"], known["seed"]) == ("llamacpp", "default", 7)
        assert {"engine_version", "correlation_id", "replica_id", "tokens_in"} <= known.keys()


@pytest.mark.req("OC-CTRL-2027e")
async def test_the_same_seed_gives_the_same_bytes_of_text(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        texts = {(await service.read(await service.admit(seed=11))).text for _ in range(3)}
        assert len(texts) == 1
        assert texts != {(await service.read(await service.admit(seed=12))).text}
