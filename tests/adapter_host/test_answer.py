"""Further tries: when there is one, where, after how long, at whose expense, and what the caller is told at the end."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from adapter_api import (
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    End,
    Metrics,
    PoolUnavailable,
    ReplicaId,
    Started,
    TaskId,
    Token,
    WorkerError,
    WorkerReset,
)
from adapter_host import AdapterHost, BreakerPolicy, PoolPolicy, ReplicaExhausted, RetryPolicy
from tests.support.scripted import CHECKPOINTS, ScriptedAdapter, answer

from .support import CANARY, POOL, mask, request

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from adapter_api import TaskRequest, TokenEvent
    from adapter_host import HostedStream, Note, Trial
    from tests.support.scripted import Step

Clock = trio.testing.MockClock
QUICK = RetryPolicy(attempts=10, base_s=0.0, cap_s=0.0)


@dataclass(eq=False, slots=True)
class FakeSeat:
    """A slot that moves along a list of replicas; `wait_s` is how long the next one is busy."""

    replicas: list[ReplicaId]
    wait_s: float = 0.0
    trial: Trial | None = None
    moves: list[frozenset[ReplicaId]] = field(default_factory=list)

    @property
    def replica_id(self) -> ReplicaId:
        return self.replicas[0]

    def may_move(self, tried: Set[ReplicaId]) -> bool:
        return bool(set(self.replicas) - set(tried))

    async def move(self, tried: Set[ReplicaId], failure: WorkerError) -> bool:
        self.moves.append(frozenset(tried))
        await trio.sleep(self.wait_s)
        self.replicas.pop(0)
        return bool(self.replicas)


class Bench:
    """A host with one replica for each adapter, and one request that goes from one to the next."""

    def __init__(self, *adapters: ScriptedAdapter, retry: RetryPolicy = QUICK, random01: float = 1.0) -> None:
        self.adapters = adapters
        self.notes: list[Note] = []
        self.events: list[TokenEvent] = []
        self.host = AdapterHost(
            observe=self.notes.append,
            redact=mask,
            new_correlation_id=iter(f"made-up-{n}" for n in range(1000)).__next__,  # type: ignore[arg-type]
            policies={POOL: PoolPolicy(retry=retry, breaker=BreakerPolicy(failures=0))},
            random01=lambda: random01,
        )
        self.ids = [ReplicaId(f"r{n}") for n in range(len(adapters))]
        for replica_id, adapter in zip(self.ids, adapters, strict=True):
            self.host.bind(POOL, replica_id, "scripted", adapter)

    def seat(self, wait_s: float = 0.0) -> FakeSeat:
        return FakeSeat(list(self.ids), wait_s)

    async def answer(self, wanted: TaskRequest | None = None, seat: FakeSeat | None = None) -> None:
        await self.host.answer(POOL, wanted or request(), seat or self.seat(), self.take)

    async def take(self, stream: HostedStream) -> None:
        async for event in stream:
            self.events.append(event)

    @property
    def texts(self) -> str:
        return "".join(event.t for event in self.events if isinstance(event, Token))

    @property
    def asked(self) -> list[int]:
        return [len(adapter.requests) for adapter in self.adapters]

    def pauses(self) -> list[object]:
        return [note.fields["backoff_ms"] for note in self.notes if note.action == "retry"]


def fails(error: WorkerError, *before: Step) -> ScriptedAdapter:
    return ScriptedAdapter(streams=[[*before, error]])


@pytest.mark.req("ORCH-3602", "ORCH-3602a")
@pytest.mark.parametrize(
    "before", [(), (Started(),), (Started(), Metrics({"prompt": 1}))], ids=["entry", "started", "metrics"]
)
@pytest.mark.parametrize("error", [PoolUnavailable("busy"), WorkerReset("cut"), DecodeTimeout("silent")])
async def test_a_failure_before_the_first_token_is_another_replicas_chance(
    autojump_clock: Clock, error: WorkerError, before: Sequence[Step]
) -> None:
    bench = Bench(fails(error, *before), ScriptedAdapter(streams=[answer("b")]), ScriptedAdapter())
    seat = bench.seat()
    await bench.answer(seat=seat)
    assert bench.texts == "b"
    assert isinstance(bench.events[-1], End)
    assert bench.asked == [1, 1, 0]
    assert seat.moves == [{"r0"}]
    assert [note.action.value for note in bench.notes if note.action.value in {"error", "retry", "stream_end"}] == [
        "error", "retry", "stream_end",
    ]  # fmt: skip


@pytest.mark.req("ORCH-3602")
async def test_after_the_first_token_there_is_no_other_try(autojump_clock: Clock) -> None:
    bench = Bench(fails(WorkerReset("cut"), Started(), Token("a", 0)), ScriptedAdapter())
    with pytest.raises(WorkerReset, match="cut"):
        await bench.answer()
    assert (bench.texts, bench.asked) == ("a", [1, 0])


@pytest.mark.req("ORCH-3602")
async def test_an_answer_in_one_piece_is_not_asked_for_twice(autojump_clock: Clock) -> None:
    """It has no token; the connection breaks as it is closed."""
    whole: list[Step] = [Started(), End(tokens_out=0, decode_time_ms=0, result=[1.0])]
    bench = Bench(ScriptedAdapter(streams=[whole], exit=[WorkerReset("cut")]), ScriptedAdapter())
    with pytest.raises(WorkerReset):
        await bench.answer()
    assert bench.asked == [1, 0]


@pytest.mark.req("ORCH-3602d")
@pytest.mark.parametrize(
    "error",
    [
        AdapterError("context too long", blames_request=True, retriable=True),
        AdapterError("not its protocol"),
        PoolUnavailable("no quota", retriable=False),
        DeadlineUnmet("too late", retriable=True),
    ],
)
async def test_what_another_replica_cannot_mend_is_told_at_once(autojump_clock: Clock, error: WorkerError) -> None:
    bench = Bench(fails(error), ScriptedAdapter())
    with pytest.raises(type(error)) as caught:
        await bench.answer()
    assert caught.value is error
    assert bench.asked == [1, 0]


@pytest.mark.req("ORCH-3602e")
async def test_when_all_have_failed_the_caller_is_told_that_and_the_last_reason(autojump_clock: Clock) -> None:
    errors = [
        PoolUnavailable("full", retry_after_ms=700),
        PoolUnavailable("full", retry_after_ms=300),
        WorkerReset("cut"),
    ]
    bench = Bench(*map(fails, errors))
    with pytest.raises(ReplicaExhausted, match="3 replicas failed; the last: cut") as caught:
        await bench.answer()
    assert (caught.value.retriable, caught.value.retry_after_ms) == (True, 300)
    assert bench.asked == [1, 1, 1]


@pytest.mark.req("ORCH-3602e")
async def test_one_replica_that_fails_alone_speaks_for_itself(autojump_clock: Clock) -> None:
    bench = Bench(fails(WorkerReset("cut")))
    with pytest.raises(WorkerReset, match="cut"):
        await bench.answer()
    assert bench.pauses() == []


@pytest.mark.req("ORCH-3602e")
async def test_replicas_that_go_away_during_the_pause_leave_the_errors_so_far(autojump_clock: Clock) -> None:
    class Closing(FakeSeat):
        async def move(self, tried: Set[ReplicaId], failure: WorkerError) -> bool:
            await trio.lowlevel.checkpoint()
            return False

    bench = Bench(fails(WorkerReset("cut")), ScriptedAdapter())
    with pytest.raises(WorkerReset, match="cut"):
        await bench.answer(seat=Closing(list(bench.ids)))
    assert bench.asked == [1, 0]


@pytest.mark.req("ORCH-3602a")
@pytest.mark.parametrize(("attempts", "asked"), [(1, [1, 0, 0, 0]), (3, [1, 1, 1, 0])])
async def test_there_are_as_many_tries_as_the_policy_allows(
    autojump_clock: Clock, attempts: int, asked: list[int]
) -> None:
    bench = Bench(*[fails(WorkerReset("cut")) for _ in range(4)], retry=RetryPolicy(attempts=attempts))
    with pytest.raises(WorkerReset):
        await bench.answer()
    assert bench.asked == asked


@pytest.mark.req("ORCH-3602b")
@pytest.mark.parametrize(
    ("random01", "advised_ms", "pauses"),
    [(1.0, None, [100, 200, 300]), (0.5, None, [50, 100, 150]), (0.0, 250, [250] * 3), (0.0, 9000, [300] * 3)],
    ids=["bound", "jitter", "advice", "advice over the cap"],
)
async def test_pauses_grow_up_to_the_cap_with_jitter_and_heed_advice(
    autojump_clock: Clock, random01: float, advised_ms: int | None, pauses: list[int]
) -> None:
    busy = PoolUnavailable("busy", retry_after_ms=advised_ms)
    policy = RetryPolicy(attempts=4, base_s=0.1, cap_s=0.3)
    bench = Bench(*[fails(busy) for _ in range(3)], ScriptedAdapter(), retry=policy, random01=random01)
    await bench.answer()
    assert bench.pauses() == pauses
    assert trio.current_time() == pytest.approx(sum(pauses) / 1000)


@pytest.mark.req("ORCH-3602c")
async def test_the_budget_bounds_further_tries_to_a_share_of_the_requests(autojump_clock: Clock) -> None:
    bench = Bench(fails(WorkerReset("cut")), ScriptedAdapter(), retry=RetryPolicy(budget=4.0, share=0.25, base_s=0.0))
    for n in range(100):
        with suppress(WorkerReset):
            await bench.answer(request(f"t{n}"))
    assert bench.asked[0] == 100
    assert 4 + 100 // 4 - 1 <= bench.asked[1] <= 4 + 100 // 4


@pytest.mark.req("ORCH-3602f")
@pytest.mark.parametrize("wait", ["pause", "slot"])
async def test_cancelled_leaves_a_wait_at_once(autojump_clock: Clock, wait: str) -> None:
    policy = RetryPolicy(base_s=0.0) if wait == "slot" else RetryPolicy(base_s=60.0, cap_s=60.0)
    bench = Bench(fails(WorkerReset("cut")), ScriptedAdapter(), retry=policy)
    with trio.move_on_after(5) as scope:
        await bench.answer(seat=bench.seat(wait_s=60.0))
    assert scope.cancelled_caught
    assert trio.current_time() == 5.0
    assert bench.asked == [1, 0]


@pytest.mark.req("ORCH-3602f", "AH-1004", "AH-1004b")
@pytest.mark.parametrize("wait", ["pause", "slot"])
async def test_a_cancel_between_two_tries_ends_the_stream_as_canceled(autojump_clock: Clock, wait: str) -> None:
    policy = RetryPolicy(base_s=0.0) if wait == "slot" else RetryPolicy(base_s=60.0, cap_s=60.0)
    bench = Bench(fails(WorkerReset("cut")), ScriptedAdapter(), retry=policy)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.answer, None, bench.seat(wait_s=60.0))
        await trio.sleep(5)
        assert await bench.host.cancel(POOL, TaskId("task"))
    assert trio.current_time() == 5.0
    assert [event.kind for event in bench.events] == ["started", "end"]
    assert bench.events[-1].data["canceled"] is True
    assert bench.asked == [1, 0]
    assert not await bench.host.cancel(POOL, TaskId("task"))


@pytest.mark.req("AH-1004", "AH-1004b")
@pytest.mark.parametrize("late", range(12))
async def test_a_cancel_at_any_step_of_a_failing_try_leaves_one_end(autojump_clock: Clock, late: int) -> None:
    first = ScriptedAdapter(streams=[[Started(), WorkerReset("cut")]], exit=[CHECKPOINTS(3)])
    bench = Bench(first, ScriptedAdapter(streams=[answer("b")]))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.answer)
        for _ in range(late):
            await trio.lowlevel.checkpoint()
        was_stopped = await bench.host.cancel(POOL, TaskId("task"))
        known = bench.texts
    ends = [event for event in bench.events if isinstance(event, End)]
    assert len(ends) == 1
    assert bench.texts == known or not was_stopped
    assert ends[0].canceled == was_stopped


@pytest.mark.req("AH-1003", "OC-CORE-1020")
async def test_every_try_has_one_correlation_id_and_the_time_that_is_left(autojump_clock: Clock) -> None:
    first = ScriptedAdapter(streams=[[2.0, WorkerReset("cut")]])
    bench = Bench(first, ScriptedAdapter(), retry=RetryPolicy(base_s=1.0, cap_s=1.0))
    await bench.answer(request(deadline_ms=10_000))
    asked = [adapter.requests[0] for adapter in bench.adapters]
    assert [each.deadline_ms for each in asked] == [10_000, 7000]
    assert {each.correlation_id for each in asked} == {"made-up-0"}


@pytest.mark.req("ORCH-3602a", "AH-1001")
async def test_a_replica_that_is_no_longer_bound_is_passed_over(autojump_clock: Clock) -> None:
    bench = Bench(ScriptedAdapter(), ScriptedAdapter(streams=[answer("b")]))
    bench.host.unbind(bench.host.bind(POOL, bench.ids[0], "scripted", ScriptedAdapter()))
    await bench.answer()
    assert bench.texts == "b"


@pytest.mark.req("ORCH-3604", "AH-2001", "AH-3001")
async def test_a_further_try_is_told_with_its_pause_and_its_reason(autojump_clock: Clock) -> None:
    busy = PoolUnavailable(f"busy {CANARY}", retry_after_ms=40)
    bench = Bench(fails(busy), ScriptedAdapter(), retry=RetryPolicy(base_s=0.1))
    await bench.answer()
    (told,) = [note for note in bench.notes if note.action == "retry"]
    assert told.human == "tries a task on another replica: busy ***"
    assert told.target == POOL
    expected = {"engine": "scripted", "replica_id": "r0", "error_kind": "PoolUnavailable", "backoff_ms": 100}
    assert {**expected, "retry_after_ms": 40}.items() <= told.fields.items()


@pytest.mark.req("AH-1005")
async def test_the_readers_own_error_is_nobodys_failure(autojump_clock: Clock) -> None:
    bench = Bench(ScriptedAdapter(), ScriptedAdapter())

    async def take(_: HostedStream) -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("own")

    with pytest.raises(KeyError, match="own"):
        await bench.host.answer(POOL, request(), bench.seat(), take)
    assert bench.asked == [1, 0]
