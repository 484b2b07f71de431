"""The pool's books: seats, slots and who gets them, under any sequence of comings and goings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import Capabilities, ReplicaId, WorkerHealth, WorkerProps, Workload
from adapter_host import Breaker, BreakerPolicy
from orchestratord.core.queue import Priority, Queued, QueueFull
from orchestratord.runtime.framelog import FrameLog
from orchestratord.runtime.pool import Pool
from orchestratord.runtime.task import Task
from tests.support.scripted import READY
from tests.support.service_rig import POOL, new_order, rig_config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

R0, R1 = ReplicaId("r0"), ReplicaId("r1")
DOWN = WorkerHealth(live=False, ready=False, detail="connection refused")


STEPS = ["offer", "batch", "leave", "leave twice", "flip"]


def new_pool(replicas: int = 1, slots: int = 1, **tables: Mapping[str, object]) -> Pool:
    config = rig_config(replicas, **tables).pools[0]
    breakers = {ReplicaId(replica.id): new_breaker(config.policy.breaker) for replica in config.replicas}
    pool = Pool(config, breakers.__getitem__)
    for replica in pool.replicas.values():
        replica.health = READY
        replica.props = WorkerProps(slots_total=slots, slots_free=slots)
    return pool


def new_breaker(policy: BreakerPolicy) -> Breaker:
    return Breaker(policy, clock=trio.current_time, random=lambda: 1.0)


def new_task(priority: Priority = Priority.INTERACTIVE) -> Task:
    log = FrameLog(ahead=8, max_bytes=1 << 20)
    order = new_order(priority=priority)
    return Task(order=order, pool_id=POOL, log=log, admitted_at=trio.current_time(), facts={})


def offer(pool: Pool, priority: Priority = Priority.INTERACTIVE) -> Task:
    task = new_task(priority)
    assert isinstance(pool.offer(task), Queued)
    pool.pump()
    return task


def in_trio(body: Callable[[], object]) -> None:
    async def main() -> None:  # noqa: ASYNC124 - reads Trio's clock
        body()

    trio.run(main, clock=trio.testing.MockClock())


@pytest.mark.req("OC-CORE-1001", "OC-CORE-1006", "OC-CORE-1010", "OC-CORE-1003")
@given(
    replicas=st.integers(1, 3),
    slots=st.integers(1, 2),
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 30)), max_size=40),
)
def test_seats_and_slots_add_up_whatever_happens(replicas: int, slots: int, steps: list[tuple[str, int]]) -> None:
    def body() -> None:
        pool = new_pool(replicas, slots, queue={"capacity": 4})
        inside: list[Task] = []
        for step, pick in steps:
            if step in {"offer", "batch"}:
                task = new_task(Priority.BATCH if step == "batch" else Priority.INTERACTIVE)
                if isinstance(pool.offer(task), Queued):
                    inside.append(task)
                pool.pump()
            elif step == "flip":
                replica = list(pool.replicas.values())[pick % replicas]
                replica.health = DOWN if replica.health.ready else READY
                pool.pump()
            elif inside:
                task = inside.pop(pick % len(inside))
                pool.leave(task)
                if step == "leave twice":
                    pool.leave(task)
            _assert_books(pool, inside, slots)
        for task in inside:
            pool.leave(task)
        assert (len(pool.queue), pool.active_leases) == (0, 0)

    in_trio(body)


def _assert_books(pool: Pool, inside: list[Task], slots: int) -> None:
    seated = [task for task in inside if task.task_id in pool.queue]
    holding = [task for task in inside if task.lease is not None]
    assert sorted(map(id, seated + holding)) == sorted(map(id, inside))  # one or the other, never both
    assert len(pool.queue) == len(seated)
    assert pool.active_leases == len(holding)
    assert all(len(replica.busy) <= slots for replica in pool.replicas.values())
    assert all(task.granted.is_set() == (task.lease is not None) for task in inside)
    assert not (seated and pool.free)  # nobody waits beside a free slot
    assert set(pool._waiting) == {task.task_id for task in seated}


@pytest.mark.req("OC-CORE-1002", "OC-CORE-1003")
async def test_a_freed_slot_goes_to_whose_turn_it_is() -> None:  # noqa: ASYNC124 - reads Trio's clock
    pool = new_pool()
    first = offer(pool)
    batch, second, third = offer(pool, Priority.BATCH), offer(pool), offer(pool)
    order = []
    running = first
    for _ in range(3):
        pool.leave(running)
        running = next(task for task in (batch, second, third) if task.lease and task not in order)
        order.append(running)
    assert order == [second, third, batch]


async def test_the_emptiest_replica_is_taken_first_and_one_that_is_not_ready_never() -> None:  # noqa: ASYNC124 - reads Trio's clock
    pool = new_pool(2, slots=2)
    tasks = [offer(pool) for _ in range(4)]
    assert [task.lease and task.lease.replica_id for task in tasks] == [R0, R1, R0, R1]
    pool.replicas[R1].health = DOWN
    pool.leave(tasks[1])
    late = offer(pool)
    assert late.lease is None
    assert (pool.slots, pool.free) == (2, 0)
    pool.leave(tasks[0])
    assert late.lease is not None
    assert late.lease.replica_id == R0


@pytest.mark.req("OC-CTRL-2050")
async def test_only_held_slots_teach_the_estimate(autojump_clock: trio.testing.MockClock) -> None:
    pool = new_pool()
    running, waiting = offer(pool), offer(pool)
    assert pool.place_of(waiting) == (0, 2000)
    await trio.sleep(10)
    pool.leave(waiting)
    assert pool.service_time.mean_s == 2.0
    pool.leave(running)
    assert pool.service_time.mean_s == 10.0
    await trio.sleep(10)
    pool.leave(running)
    assert pool.service_time.mean_s == 10.0


@pytest.mark.req("OC-CTRL-2050", "OC-CORE-1002")
async def test_a_start_is_predicted_by_priority(  # noqa: ASYNC124 - reads Trio's clock
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool = new_pool()
    offer(pool)
    for _ in range(3):
        offer(pool, Priority.BATCH)
    assert pool.view(Priority.INTERACTIVE).predicted_start_ms == 2000
    assert pool.view(Priority.BATCH).predicted_start_ms == 8000


async def test_a_seat_that_is_refused_leaves_no_trace() -> None:  # noqa: ASYNC124 - reads Trio's clock
    pool = new_pool(queue={"capacity": 1})
    offer(pool)
    offer(pool)
    assert isinstance(pool.offer(new_task()), QueueFull)
    assert len(pool._waiting) == 1


async def test_every_change_wakes_whoever_watches() -> None:
    pool = new_pool()
    woken: list[str] = []

    async def watch() -> None:
        await pool.wait_change()
        woken.append("woken")

    for change in (lambda: offer(pool), lambda: pool.leave(new_task()), pool.pump):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            change()
    assert len(woken) == 3


def capabilities(**facts: object) -> Capabilities:
    fields: dict[str, object] = {"engine": "scripted", "engine_version": "1.0", "model": "m", **facts}
    return Capabilities(**fields)  # type: ignore[arg-type]  # a test names fields freely


@pytest.mark.req("OC-CORE-1012", "OC-CORE-1013", "ADAPT-3000d")
async def test_limits_are_the_configured_ones_else_the_tightest_reported() -> None:  # noqa: ASYNC124 - reads Trio's clock
    pool = new_pool(2)
    assert (pool.served.ctx_max, pool.served.max_tokens_out, pool.served.engine_version) == (None, None, None)
    assert pool.served.workloads == {Workload.COMPLETION}
    pool.replicas[R0].capabilities = capabilities(ctx_max=4096, max_tokens_out=100, model_digest="sha256:a")
    pool.replicas[R1].capabilities = capabilities(
        ctx_max=2048, workloads=frozenset({Workload.RERANK}), features=frozenset({"seed"})
    )
    assert (pool.served.ctx_max, pool.served.max_tokens_out, pool.served.engine_version) == (2048, 100, "1.0")
    assert pool.served.workloads == {Workload.COMPLETION, Workload.RERANK}
    assert pool.served.features == {"seed"}
    assert pool.served.model_refs == {"m", "default", "sha256:a"}
    assert pool.served.facts() == {
        "engine": "scripted", "pool_id": "p", "engine_version": "1.0", "model_digest": "sha256:a",
    }  # fmt: skip
    fixed = new_pool(pool={"ctx_max": 512, "max_tokens_out": 7})
    fixed.replicas[R0].capabilities = capabilities(ctx_max=4096, max_tokens_out=100)
    assert (fixed.served.ctx_max, fixed.served.max_tokens_out) == (512, 7)


@pytest.mark.parametrize(
    ("configured", "told", "in_props", "slots"),
    [(3, 2, 4, 3), (None, 2, 4, 2), (None, None, 4, 4), (None, None, None, 1)],
)
async def test_slots_are_as_configured_else_as_told_else_one(  # noqa: ASYNC124 - reads Trio's clock
    configured: int | None, told: int | None, in_props: int | None, slots: int
) -> None:
    pool = new_pool(pool={} if configured is None else {"concurrency": configured})
    replica = pool.replicas[R0]
    replica.capabilities = capabilities(concurrency=told)
    replica.props = WorkerProps(slots_total=in_props)
    assert replica.slots == slots
    replica.health = DOWN
    assert (replica.free, pool.is_ready, pool.is_live) == (0, False, False)


async def test_fewer_slots_than_before_never_mean_less_than_none() -> None:  # noqa: ASYNC124 - reads Trio's clock
    pool = new_pool(slots=2)
    offer(pool)
    offer(pool)
    pool.replicas[R0].props = WorkerProps(slots_total=1)
    assert pool.free == 0
    assert offer(pool).lease is None


async def test_shows_its_state() -> None:  # noqa: ASYNC124 - reads Trio's clock
    pool = new_pool()
    offer(pool)
    assert repr(pool) == "<Pool p <PoolQueue interactive=0 batch=0 of 64> leases=1 ready=True>"
