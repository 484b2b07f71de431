"""One run from its slot to its terminal frame: every way it can end, and what is free afterwards."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import product
from typing import TYPE_CHECKING

import pytest
import trio
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
    ReplicaId,
    Started,
    Token,
    WorkerError,
    WorkerReset,
)
from orchestratord.core.task import CancelReason, TaskState
from orchestratord.errors import INTERNAL_MESSAGE
from tests.support.scripted import CHECKPOINTS, TICK, Script, ScriptedAdapter, answer
from tests.support.service_rig import CORRELATION, POOL, decode, frames_of, new_order, open_rig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from adapter_api import TaskRequest, TokenEvent
    from orchestratord.runtime.task import Task
    from tests.support.scripted import Step
    from tests.support.service_rig import Rig, Seen

Clock = trio.testing.MockClock
GAP = 128 * TICK
R0 = ReplicaId("r0")


def events_of(frames: Sequence[Seen]) -> list[str]:
    return [seen.event for seen in frames]


def texts_of(frames: Sequence[Seen]) -> list[object]:
    return [seen.data["t"] for seen in frames if seen.event == "token"]


def assert_over(rig: Rig, task: Task) -> None:
    """The task is over, once, and holds nothing."""
    frames = frames_of(task)
    assert [seen.id for seen in frames] == list(range(1, len(frames) + 1))
    assert frames[0].event == "started"
    assert [seen.event for seen in frames if seen.event in {"end", "error"}] == [frames[-1].event]
    assert task.state.is_final
    assert task.closed.is_set()
    assert task not in rig.history.live
    assert task.task_id not in rig.pool.queue
    assert rig.pool.active_leases == 0
    assert not any(adapter.live for adapter in rig.adapters)


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


@pytest.mark.req("OC-CORE-1022", "SSE-1004b")
@pytest.mark.parametrize("stall", ["engine", "client", "entry"])
async def test_the_deadline_ends_a_run_wherever_it_hangs(autojump_clock: Clock, stall: str) -> None:
    adapter = {
        "engine": ScriptedAdapter(streams=[[Started(), Token("a", 0), trio.Event()]]),
        "client": ScriptedAdapter(streams=[answer(*"abcdefgh")]),
        "entry": ScriptedAdapter(entry=[trio.Event()]),
    }[stall]
    async with open_rig(adapter, stream={"channel_cap": 2}) as rig:
        task = rig.admit(new_order(deadline_ms=5000))
        rig.attach(task)
        await task.closed.wait()
        assert trio.current_time() == 5.0
        await trio.testing.wait_all_tasks_blocked()
        frames = frames_of(task)
        assert_over(rig, task)
    assert frames[-1].data["code"] == "DEADLINE_UNMET"
    assert "while the engine was answering" in str(frames[-1].data["message"])


@pytest.mark.req("OC-CORE-1020", "OC-CORE-1022")
async def test_the_deadline_counts_the_wait_for_a_slot(autojump_clock: Clock) -> None:
    slow: list[Step] = [Started(), trio.Event()]
    async with open_rig(ScriptedAdapter(streams=[slow])) as rig:
        first = rig.admit(new_order(deadline_ms=60_000))
        waiting = rig.admit(new_order(deadline_ms=4000))
        await trio.sleep(1)
        frames = await rig.read(waiting)
        assert trio.current_time() == 4.0
        assert "while it waited for a slot" in str(frames[-1].data["message"])
        assert waiting.task_id not in rig.pool.queue
        await rig.dispatcher.cancel(first.task_id)
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, first)
        assert_over(rig, waiting)
        assert len(rig.adapters[0].requests) == 1


@pytest.mark.req("OC-CORE-1020")
async def test_the_engine_is_told_the_time_that_is_left(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a", gap_s=2.0)])) as rig:
        rig.admit()
        second = rig.admit(new_order(deadline_ms=10_000))
        await second.closed.wait()
        assert [request.deadline_ms for request in rig.adapters[0].requests] == [60_000, 8000]


@pytest.mark.req("OC-CORE-1022", "OC-CTRL-2012")
@pytest.mark.parametrize(("shift", "late"), list(product((-1, 0, 1), range(4))))
async def test_a_slot_that_frees_at_the_deadline_leaves_one_outcome(
    autojump_clock: Clock, shift: int, late: int
) -> None:
    first_steps: list[Step] = [Started(), 4.0 + shift * TICK, CHECKPOINTS(late), End(tokens_out=0, decode_time_ms=0)]
    async with open_rig(ScriptedAdapter(streams=[first_steps, answer("a")], tells_slots=False)) as rig:
        rig.admit()
        waiting = rig.admit(new_order(deadline_ms=4000))
        frames = await rig.read(waiting)
        await trio.testing.wait_all_tasks_blocked()
        if waiting.begun:
            assert frames[-1].event in {"end", "error"}
        else:
            assert frames[-1].data["code"] == "DEADLINE_UNMET"
            assert "while it waited for a slot" in str(frames[-1].data["message"])
            assert waiting not in rig.pool.replicas[R0].busy  # a slot that was never used is free at once
        await trio.sleep(4)
        assert_over(rig, waiting)
        assert rig.metric("tasks_started_total") == len(rig.adapters[0].requests)


@pytest.mark.req("ADAPT-3002b", "OC-CORE-1022")
async def test_a_clean_up_that_fails_at_the_deadline_does_not_change_the_outcome(autojump_clock: Clock) -> None:
    async with open_rig(
        ScriptedAdapter(streams=[[Started(), trio.Event()]], exit=[ValueError("broken clean-up")])
    ) as rig:
        task = rig.admit(new_order(deadline_ms=1000))
        frames = await rig.read(task)
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, task)
    assert frames[-1].data["code"] == "DEADLINE_UNMET"


MOMENTS = [(token * GAP + shift * TICK, late) for token, shift, late in product((0, 1, 2), (-1, 0, 1), range(4))]


@pytest.mark.req("SSE-1002", "SSE-1002a", "SSE-1002b", "OC-CTRL-2012", "OC-CTRL-2027")
@pytest.mark.parametrize(("moment", "late"), MOMENTS)
@pytest.mark.parametrize("linger_s", [0.0, 1.0])
async def test_no_token_after_an_acknowledged_cancel(
    autojump_clock: Clock, moment: float, late: int, linger_s: float
) -> None:
    adapter = ScriptedAdapter(streams=[answer("a", "b", "c", gap_s=GAP)], linger_s=linger_s)
    async with open_rig(adapter) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        taken: list[Seen] = []
        acknowledged: list[int] = []

        async def read() -> None:
            while (batch := await reader.next_batch()) is not None:
                taken.extend(decode(batch))
            rig.dispatcher.detach(task, reader)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(max(0.0, moment))
            for _ in range(late):
                await trio.lowlevel.checkpoint()
            await rig.dispatcher.cancel(task.task_id)
            acknowledged.append(len(taken))
            assert not adapter.live  # the engine's connection is closed by now
        assert "token" not in events_of(taken[acknowledged[0] :])
        assert taken[0].event == "started"
        assert events_of(taken).count("end") == 1
        assert taken[-1].data["canceled"] is True
        assert taken[-1].data["tokens_out"] == task.tokens
        await trio.sleep(4)
        assert_over(rig, task)
        assert rig.metric("tasks_canceled_total", reason="client") == 1
        assert decode(b"".join(task.log.frames))[-1].event == "end"


@pytest.mark.req("SSE-1002", "OC-CTRL-2012", "OC-CTRL-2027")
@pytest.mark.parametrize("late", range(6))
@pytest.mark.parametrize("way", ["client", "disconnect", "nobody"])
async def test_a_token_that_is_on_its_way_when_the_cancel_comes_is_dropped(
    autojump_clock: Clock, late: int, way: str
) -> None:
    """The engine's bytes wake the run, and before it runs, or some checkpoints later, the cancel comes."""
    bytes_came = trio.Event()
    async with open_rig(ScriptedAdapter(streams=[[Started(), bytes_came, *answer("a", "b", "c")[1:]]])) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        await trio.testing.wait_all_tasks_blocked()
        bytes_came.set()
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        tokens = task.tokens
        if way == "disconnect":
            rig.dispatcher.detach(task, reader)
        elif way == "client":
            await rig.dispatcher.cancel(task.task_id)
        is_stopped = task.state is TaskState.CANCELED
        await task.closed.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert_over(rig, task)
        assert task.tokens == (tokens if is_stopped else 3)
        assert texts_of(frames_of(task)) == ["a", "b", "c"][: task.tokens]


@pytest.mark.req("SSE-1002b", "OC-CORE-1005", "OC-CTRL-2027")
@pytest.mark.parametrize("late", range(5))
async def test_a_queued_task_that_is_canceled_as_the_queue_moves(autojump_clock: Clock, late: int) -> None:
    """The queue moves and the cancel comes in the same tick: the place that was about to be told is not told."""
    async with open_rig(ScriptedAdapter(streams=[[Started(), trio.Event()]])) as rig:
        first = rig.admit()
        second = rig.admit()
        third = rig.admit()
        reader = rig.attach(third)
        await trio.testing.wait_all_tasks_blocked()
        rig.dispatcher.pools[POOL].leave(second)
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        third.cancel(CancelReason.CLIENT)
        await trio.testing.wait_all_tasks_blocked()
        assert frames_of(third)[-1].event == "end"
        assert_one_terminal(third)
        reader.detach()
        await rig.dispatcher.cancel(first.task_id)


@pytest.mark.req("OC-CORE-1005", "OC-CORE-1006")
@pytest.mark.parametrize("late", range(4))
async def test_a_slot_that_frees_as_its_heir_is_canceled_goes_to_the_next(autojump_clock: Clock, late: int) -> None:
    streams: list[list[Step]] = [[Started(), trio.Event()], answer("a")]
    async with open_rig(ScriptedAdapter(streams=streams, tells_slots=False)) as rig:
        first = rig.admit()
        heir = rig.admit()
        third = rig.admit()
        await trio.testing.wait_all_tasks_blocked()
        heir.cancel(CancelReason.CLIENT)
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        rig.pool.leave(first)
        await third.closed.wait()
        assert third.state is TaskState.ENDED
        assert not heir.begun
        assert trio.current_time() == 0.0  # nobody waited for a slot that the heir never used
        await rig.dispatcher.cancel(first.task_id)


@pytest.mark.req("SSE-1002f", "OC-CORE-1006")
async def test_a_canceled_tasks_slot_is_busy_until_the_engine_has_let_go(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), trio.Event()], answer("a")], linger_s=1.0)
    async with open_rig(adapter) as rig:
        first = rig.admit()
        second = rig.admit()
        await trio.sleep(1)
        await rig.dispatcher.cancel(first.task_id)
        assert trio.current_time() == 1.0  # the answer does not wait for the slot
        assert rig.pool.active_leases == 1
        await second.granted.wait()
        assert 2.0 <= trio.current_time() <= 2.5


@pytest.mark.req("SSE-1002f")
@pytest.mark.parametrize(
    ("adapter", "free_after_s"),
    [
        (ScriptedAdapter(streams=[[Started(), trio.Event()], answer("a")], linger_s=1000.0), 3.0),
        (ScriptedAdapter(streams=[[Started(), trio.Event()], answer("a")], tells_slots=False), 3.0),
    ],
    ids=["hung engine", "no slot report"],
)
async def test_the_grace_bounds_how_long_a_slot_is_held_back(
    autojump_clock: Clock, adapter: ScriptedAdapter, free_after_s: float
) -> None:
    async with open_rig(adapter) as rig:
        first = rig.admit()
        second = rig.admit()
        await trio.sleep(1)
        await rig.dispatcher.cancel(first.task_id)
        await second.granted.wait()
        assert trio.current_time() == 1 + free_after_s


@pytest.mark.req("SSE-1002f")
async def test_a_dead_engine_holds_no_slot(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), WorkerReset("died")], answer("a")])
    async with open_rig(adapter) as rig:
        adapter.props_error = PoolUnavailable("connect: refused")
        first = rig.admit()
        second = rig.admit()
        await second.granted.wait()
        assert trio.current_time() == 0.0
        assert first.state is TaskState.FAILED


@pytest.mark.req("ORCH-3038a")
async def test_a_failed_stream_asks_for_a_probe_and_a_blamed_request_does_not(autojump_clock: Clock) -> None:
    blame = AdapterError("too long", blames_request=True)
    for error, is_doubted in ((WorkerReset("cut"), True), (blame, False)):
        async with open_rig(ScriptedAdapter(streams=[[Started(), error]])) as rig:
            await rig.read(rig.admit())
            replica = next(iter(rig.pool.replicas.values()))
            assert replica.suspect.is_set() == is_doubted
            assert error.message in (rig.pool.last_error or "")


def assert_one_terminal(task: Task) -> None:
    kinds = events_of(frames_of(task))
    assert [kind for kind in kinds if kind in {"end", "error"}] == [kinds[-1]]


@pytest.mark.req("SSE-1002f", "OC-CORE-1006")
@pytest.mark.parametrize("apart_s", [0.0, 0.25, 0.5])
async def test_an_engine_never_gets_more_than_it_has_slots_for(autojump_clock: Clock, apart_s: float) -> None:
    """Two slots come free at different times; the report that one has must not pass for both."""

    class Counting(ScriptedAdapter):
        most = 0

        @asynccontextmanager
        async def submit(self, request: TaskRequest) -> AsyncGenerator[AsyncIterator[TokenEvent], None]:
            async with super().submit(request) as events:
                Counting.most = max(Counting.most, self.engine_busy)
                yield events

    hung: list[Step] = [Started(), trio.Event()]
    adapter = Counting(streams=[hung, hung, answer("a", gap_s=0.75)], slots=2)
    async with open_rig(adapter) as rig:
        tasks = [rig.admit() for _ in range(8)]
        await trio.sleep(1)
        for task, linger_s in zip(tasks[:2], (0.5, 2.0), strict=True):
            adapter.linger_s = linger_s
            task.cancel(CancelReason.CLIENT)
            await task.closed.wait()
            await trio.sleep(apart_s)
        for task in tasks[2:]:
            await task.closed.wait()
        assert Counting.most == 2
