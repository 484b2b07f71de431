"""What waits: `started` before the turn has come, predictions that are kept to, and a queue that is full.

These send many tasks, so they come last and each takes its tasks away again.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

from conformance.check import Level
from conformance.findings import NotApplicable
from conformance.service import check as ids
from conformance.service.check import Group, ServiceCheck
from conformance.service.stream import OverTooSoon

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.service.client import Reply
    from conformance.service.visit import Visit

_AT_ONCE_S = 1.0


async def _occupy(visit: Visit) -> list[str]:
    """Take every slot with a long task; return their ids."""
    slots = visit.facts.concurrency
    if slots is None:
        raise NotApplicable("the capabilities tell no concurrency for the pool")
    if slots >= visit.target.fill:
        raise NotApplicable(f"{slots} slots are more than --fill {visit.target.fill} tasks can take")
    return [await visit.admit(visit.long_task()) for _ in range(slots)]


async def _still_there(visit: Visit, task_ids: Iterable[str]) -> None:
    """End the play if a task that was to hold its slot all the time was over: two slots were free at once."""
    for task_id in task_ids:
        await visit.cancel(task_id)
        if not (await visit.read(task_id)).is_canceled:
            raise OverTooSoon("while others wait for its slot")


async def _turns(visit: Visit, bodies: Iterable[dict[str, object]]) -> tuple[list[float], list[str]]:
    """Let tasks wait behind full slots, free one slot; return when each had its first token, and who held the rest."""
    first, *others = await _occupy(visit)
    async with AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(visit.stream(await visit.admit(body))) for body in bodies]
        if any(each.tokens for each in waiting):
            await _still_there(visit, (first, *others))
            visit.require(False, "no token while every slot is taken", "there are some")
        await visit.cancel(first)
        for reading in waiting:
            await reading.first("token")
        return [reading.tokens[0].at for reading in waiting], others


async def _interactive_first(visit: Visit) -> None:
    batch, interactive = visit.task(priority="batch"), visit.task(priority="interactive")
    (late, early), others = await _turns(visit, (batch, interactive))
    told = f"{early - late:.3g} s after it"
    if early > late:
        await _still_there(visit, others)
    visit.expect(early <= late, "the interactive task before the batch task that was admitted first", told)


async def _in_order(visit: Visit) -> None:
    for priority in ("interactive", "batch"):
        began, others = await _turns(visit, [visit.task(priority=priority) for _ in range(3)])
        if began != sorted(began):
            await _still_there(visit, others)
        await visit.cancel_all(others)
        told = ", ".join(f"{at - min(began):.3g} s" for at in began)
        visit.expect(began == sorted(began), f"{priority} tasks in the order of their admission", f"after {told}")


async def _slots(visit: Visit) -> None:
    """Cancel what runs, each more than once, and see how many run after that."""
    occupied = await _occupy(visit)
    async with AsyncExitStack() as stack:
        waiting = [await visit.admit(visit.long_task()) for _ in range(len(occupied) + 1)]
        readings = [await stack.enter_async_context(visit.stream(task_id)) for task_id in waiting]
        for task_id in (*occupied, *occupied):
            await visit.cancel(task_id)
        for reading in readings[:-1]:
            await reading.first("token")
        await trio.sleep(_AT_ONCE_S)
        running = sum(bool(reading.tokens) and not reading.is_ended for reading in readings)
        visit.expect(running <= len(occupied), f"{len(occupied)} tasks at a time in as many slots", f"{running} run")


async def _seat_is_free(visit: Visit) -> None:
    if await _filled(visit) is None:
        raise NotApplicable("the queue could not be filled")
    last = visit.admitted[-1]
    await visit.cancel(last)
    reply = await visit.offer(visit.long_task(priority="batch"))
    visit.expect(reply.status == 202, "202 for a task when one that waited was cancelled", reply)


async def _moves_up(visit: Visit) -> None:
    await _occupy(visit)
    ahead = await visit.admit(visit.long_task())
    async with visit.stream(await visit.admit(visit.long_task())) as reading:
        started = await reading.first("started")
        await visit.cancel(ahead)
        place = started.data.get("queue_position")

        def told() -> list[object]:
            return [frame.data.get("queue_position") for frame in reading.frames if frame.event == "metrics"]

        await reading.until(
            lambda: any(isinstance(each, int) and isinstance(place, int) and each < place for each in told()),
            f"`metrics` with a queue_position below {place}",
        )


async def _started_at_once(visit: Visit) -> None:
    await _occupy(visit)
    task_id = await visit.admit(visit.long_task())
    began = trio.current_time()
    async with visit.stream(task_id) as reading:
        await reading.first("started")
        took_s = trio.current_time() - began
        visit.expect(took_s <= _AT_ONCE_S, f"`started` within {_AT_ONCE_S:g} s, also in the queue", f"{took_s:.3g} s")
        reply = await visit.cancel(task_id)
        visit.expect(reply.status == 204, "204 for the cancel of a task that waits", reply)
        await reading.over()
    visit.expect(reading.is_canceled, "`end` with canceled: true for a task that waited", reading.kinds)


async def _infeasible(visit: Visit) -> None:
    await _occupy(visit)
    waiting = await visit.offer(visit.long_task())
    predicted = waiting.fields.get("predicted_start_ms")
    if not isinstance(predicted, int) or predicted < 2:
        raise NotApplicable("the service predicts no wait")
    reply = await visit.offer(visit.task(deadline_ms=1))
    visit.refused(reply, "DEADLINE_UNMET", f"a deadline of 1 ms when the next slot is free in {predicted} ms")


async def _full(visit: Visit) -> None:
    reply = await _filled(visit)
    if reply is None:
        raise NotApplicable(
            f"{visit.target.fill} tasks did not fill the queue: it drops, or the answers are short (--max-tokens)"
        )
    allowed = {code.code for code in visit.spec.errors.values() if code.http == 429}
    visit.expect(reply.status == 429 and reply.code in allowed, f"429 with {' or '.join(sorted(allowed))}", reply)


async def _filled(visit: Visit) -> Reply | None:
    """Offer long tasks until one is refused; return that answer."""
    capacity = visit.facts.queue_capacity
    most = (visit.facts.concurrency or 1) + (capacity or visit.target.fill) + 1
    if most > visit.target.fill:
        raise NotApplicable(f"it takes {most} tasks to fill the queue; --fill allows {visit.target.fill}")
    for _ in range(visit.target.fill):  # some may be over before the queue is full
        reply = await visit.offer(visit.long_task(priority="batch"))
        if reply.status != 202:
            return reply
    return None


CHECKS = (
    ServiceCheck(
        id="S-QUE-01",
        title="`started` comes at once, also for a task that waits",
        group=Group.QUEUE,
        requirements=("OC-CTRL-2021a", "SSE-1002b"),
        play=_started_at_once,
        causes=("the stream opens when the task starts",),
    ),
    ServiceCheck(
        id=ids.FEASIBLE,
        title="a deadline before the predicted start is refused at admission",
        group=Group.QUEUE,
        requirements=("OC-CTRL-2010e",),
        play=_infeasible,
        causes=(
            "the prediction is made after the deadline was looked at",
            "no prediction is made as long as no task has ended",
        ),
    ),
    ServiceCheck(
        id="S-QUE-03",
        title="an interactive task goes before a batch task",
        group=Group.QUEUE,
        requirements=("OC-CORE-1002",),
        play=_interactive_first,
        causes=(
            "there is one queue for both",
            "the priority is looked at when a task is admitted, not when a slot is free",
        ),
    ),
    ServiceCheck(
        id="S-QUE-04",
        title="tasks of one priority go in the order of their admission",
        group=Group.QUEUE,
        requirements=("OC-CORE-1003",),
        play=_in_order,
        causes=("who waits is woken all at once, and the fastest wins", "the queue is a stack"),
    ),
    ServiceCheck(
        id="S-QUE-05",
        title="a task that is cancelled while it waits leaves its place at once",
        group=Group.QUEUE,
        requirements=("OC-CORE-1005",),
        play=_seat_is_free,
        causes=("it is skipped when its turn comes, and counts until then",),
    ),
    ServiceCheck(
        id="S-QUE-06",
        title="a cancelled task gives its slot back once, however often it is cancelled",
        group=Group.QUEUE,
        requirements=("OC-CORE-1006", "OC-CTRL-2012"),
        play=_slots,
        causes=("each cancel gives a slot back", "a slot is lost when a task is cancelled"),
    ),
    ServiceCheck(
        id="S-QUE-07",
        title="a task that waits is told when it moves up",
        group=Group.QUEUE,
        requirements=("OC-CTRL-2021b",),
        play=_moves_up,
        level=Level.SHOULD,
        causes=("the position is told once, in `started`",),
    ),
    ServiceCheck(
        id=ids.NO_ROOM,
        title="a full queue is answered with 429, when to come again, and why",
        group=Group.QUEUE,
        requirements=("OC-CTRL-2011", "OC-CTRL-2011a", "OC-CTRL-2011b"),
        play=_full,
        causes=("Retry-After is rounded down to 0", "the body says less than the headers"),
    ),
)
