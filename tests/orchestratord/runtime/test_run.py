"""One run from its slot to its terminal frame: every way it can end, and what is free afterwards."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio.testing

from adapter_api import (
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    End,
    Failed,
    InternalError,
    Metrics,
    PoolUnavailable,
    Started,
    Token,
    WorkerError,
    WorkerReset,
)
from orchestratord.core.task import TaskState
from orchestratord.errors import INTERNAL_MESSAGE
from tests.support.scripted import Script, ScriptedAdapter, answer
from tests.support.service_rig import CORRELATION, decode, open_rig

from .support import assert_over, events_of, texts_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from adapter_api import TaskRequest, TokenEvent
    from tests.support.scripted import Step
    from tests.support.service_rig import Seen

Clock = trio.testing.MockClock


@pytest.mark.req("OC-CTRL-2021", "OC-CTRL-2027", "OC-CTRL-2027b", "OC-CTRL-2020b", "OC-CTRL-2027e")
async def test_an_answer_goes_through_whole(autojump_clock: Clock) -> None:
    script: list[Step] = [Started(seed=7, tokens_in=3, engine_version="2.0"), Token("a", 0), Token("é\n", 1)]
    script_end = End(tokens_out=9, decode_time_ms=5, tokens_in=3)
    async with open_rig(ScriptedAdapter(streams=[[*script, script_end]])) as rig:
        task = rig.admit()
        frames = await rig.read(task)
        assert_over(rig, task)
    assert events_of([seen for seen in frames if seen.event != "metrics"]) == ["started", "token", "token", "end"]
    assert texts_of(frames) == ["a", "é\n"]
    assert [seen.data["i"] for seen in frames if seen.event == "token"] == [0, 1]
    assert frames[0].data["queue_position"] == 0
    assert frames[0].data["correlation_id"] == CORRELATION
    assert frames[-1].data == script_end.data
    assert task.state is TaskState.ENDED


@pytest.mark.req("OC-CTRL-2027a")
async def test_what_the_engine_tells_after_started_went_out_is_not_lost(autojump_clock: Clock) -> None:
    script: list[Step] = [1.0, Started(seed=7, engine_version="2.0"), End(tokens_out=0, decode_time_ms=0)]
    async with open_rig(ScriptedAdapter(streams=[script])) as rig:
        frames = await rig.read(rig.admit())
    assert events_of(frames) == ["started", "metrics", "end"]
    assert frames[0].data["engine_version"] == "1.0"  # as the pool knows it
    assert frames[1].data == {"seed": 7, "engine_version": "2.0"}


async def test_a_reader_who_came_while_the_task_waited_is_told_its_replica(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a", gap_s=1.0), answer("b")])) as rig:
        rig.admit()
        frames = await rig.read(rig.admit())
    assert "replica_id" not in frames[0].data
    told = [frame.data["replica_id"] for frame in frames if "replica_id" in frame.data]
    assert told == ["r0"]


async def test_a_started_that_nobody_had_seen_holds_the_engines_facts(autojump_clock: Clock) -> None:
    script: list[Step] = [Started(seed=7, engine_version="2.0"), End(tokens_out=0, decode_time_ms=0)]
    async with open_rig(ScriptedAdapter(streams=[script])) as rig:
        task = rig.admit()
        await task.closed.wait()
        frames = await rig.read(task)
    assert events_of(frames) == ["started", "end"]
    assert frames[0].data.items() >= {"seed": 7, "engine_version": "2.0", "replica_id": "r0"}.items()


FAILURES: dict[str, tuple[WorkerError, str, bool, str]] = {
    "deadline": (DeadlineUnmet("engine gave up"), "DEADLINE_UNMET", False, "engine gave up"),
    "unavailable": (PoolUnavailable("loading", retry_after_ms=250), "POOL_UNAVAILABLE", True, "loading"),
    "timeout": (DecodeTimeout("idle 30 s"), "DECODE_TIMEOUT", True, "idle 30 s"),
    "reset": (WorkerReset("cut"), "WORKER_RESET", True, "cut"),
    "adapter": (AdapterError("HTTP 500: words"), "INTERNAL", False, "HTTP 500: words"),
    "blamed": (AdapterError("context too long", blames_request=True), "INVALID_PARAMS", False, "context too long"),
    "internal": (InternalError("details"), "INTERNAL", False, INTERNAL_MESSAGE),
    "never retriable": (WorkerReset("cut", retriable=False), "WORKER_RESET", False, "cut"),
}


@pytest.mark.req("AH-1005", "AH-1005a", "AH-1005b", "OC-CTRL-2028", "OC-CTRL-2029", "OC-CTRL-2032")
@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("when", ["entry", "first", "later", "event"])
async def test_each_worker_error_is_one_error_frame(autojump_clock: Clock, name: str, when: str) -> None:
    error, code, retriable, message = FAILURES[name]
    streams: dict[str, list[Step]] = {
        "entry": [],
        "first": [error],
        "later": [Started(), Token("a", 0), error],
        "event": [Started(), Token("a", 0), Failed(error)],
    }
    adapter = ScriptedAdapter(streams=[streams[when]], entry=[error] if when == "entry" else [])
    async with open_rig(adapter) as rig:
        task = rig.admit()
        frames = await rig.read(task)
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, task)
    wanted = {"code": code, "message": message, "retriable": retriable, "engine": "scripted"}
    if error.retry_after_ms is not None:
        wanted["retry_after_ms"] = error.retry_after_ms
    assert frames[-1].event == "error"
    assert frames[-1].data == wanted
    assert task.state is TaskState.FAILED
    assert rig.metric("tasks_canceled_total") == 0


@pytest.mark.req("OC-CTRL-2028a")
async def test_a_stream_without_its_end_marker_is_a_reset(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a")[:-1]])) as rig:
        frames = await rig.read(rig.admit())
    assert frames[-1].data["code"] == "WORKER_RESET"


@pytest.mark.req("OC-CTRL-2032a", "HTU-1004")
@pytest.mark.parametrize("text", ["canary-7f3a91", "\udcff lone", "x" * 100_000])
async def test_an_unexpected_exception_is_one_internal_frame_and_the_service_lives(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    async with open_rig(ScriptedAdapter(), secrets=["canary-7f3a91"]) as rig:

        def break_down(*_: object) -> None:
            raise ValueError(text)

        with monkeypatch.context() as patch:
            patch.setattr(type(rig.telemetry), "first_token", break_down)
            task = rig.admit()
            frames = await rig.read(task)
            await task.closed.wait()
        assert frames[-1].event == "error"
        assert frames[-1].data == {
            "code": "INTERNAL", "message": INTERNAL_MESSAGE, "retriable": False,
        }  # fmt: skip
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, task)
        assert events_of(await rig.read(rig.admit()))[-1] == "end"
        assert "canary-7f3a91" not in rig.log.getvalue()
        assert [line["event"] for line in rig.lines()].count("internal") == 1


async def test_an_exception_that_cannot_be_shown_does_not_end_the_service(
    autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    async with open_rig(ScriptedAdapter()) as rig:

        def break_down(*_: object) -> None:
            raise Unprintable

        monkeypatch.setattr(type(rig.telemetry), "first_token", break_down)
        frames = await rig.read(rig.admit())
        assert frames[-1].data["code"] == "INTERNAL"


@pytest.mark.req("SSE-1004")
async def test_an_answer_over_the_byte_bound_ends_with_an_error(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[answer(*["x" * 10_000] * 20)])
    async with open_rig(adapter, stream={"max_log_bytes": 65_536}) as rig:
        task = rig.admit()
        frames = await rig.read(task)
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, task)
    assert frames[-1].data["code"] == "INTERNAL"
    assert "too long" in str(frames[-1].data["message"])
    assert task.log.size < 66_000


@pytest.mark.req("OC-CTRL-2027f", "SSE-1004a")
async def test_engine_metrics_pass_and_are_dropped_first_when_readers_are_behind(autojump_clock: Clock) -> None:
    tokens = [Token("x", at) for at in range(4)]
    script: list[Step] = [Started(), Metrics({"n": 1}), *tokens, Metrics({"n": 2}), End(tokens_out=4, decode_time_ms=0)]
    async with open_rig(ScriptedAdapter(streams=[script]), stream={"channel_cap": 8}) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        await task.closed.wait()
        seen = decode(await reader.next_batch() or b"")
        metrics = [frame.data for frame in seen if frame.event == "metrics"]
        assert {"n": 1} in metrics
        assert {"n": 2} not in metrics
        assert events_of(seen).count("token") == 4
        assert rig.metric("sse_backpressure_drops_total", frame="metrics") == 1


@pytest.mark.req("SSE-1004", "SSE-1004b")
async def test_a_slow_client_slows_the_engine_down_and_loses_nothing(autojump_clock: Clock) -> None:
    texts = [f"t{at}" for at in range(40)]
    async with open_rig(ScriptedAdapter(streams=[answer(*texts)]), stream={"channel_cap": 4}) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        frames: list[Seen] = []
        while (batch := await reader.next_batch()) is not None:
            frames += decode(batch)
            await trio.testing.wait_all_tasks_blocked()
            assert len(task.log.frames) - len(frames) <= 4
        rig.dispatcher.detach(task, reader)
    assert texts_of(frames) == texts


class ReadingAhead(ScriptedAdapter):
    """Has all of its stream at hand at once, and says how much of it is left."""

    @asynccontextmanager
    async def submit(self, request: TaskRequest) -> AsyncGenerator[AsyncIterator[TokenEvent], None]:
        yield AtHand(self.streams[0])


class AtHand(Script):
    @property
    def at_hand(self) -> int:
        return len(self._steps)


@pytest.mark.req("SSE-1004", "OC-CTRL-2026")
async def test_what_has_left_the_engine_already_is_not_held_back(autojump_clock: Clock) -> None:
    async with open_rig(ReadingAhead(streams=[answer(*"x" * 40)]), stream={"channel_cap": 4}) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        await trio.testing.wait_all_tasks_blocked()
        batch = decode(await reader.next_batch() or b"")
        assert events_of(batch).count("token") == 40  # in one write, whatever the cap
        await task.closed.wait()
        assert task.state is TaskState.ENDED
