"""What waits: `started` before the turn has come, predictions that are kept to, and a queue that is full.

These send many tasks, so they come last and each takes its tasks away again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from conformance.findings import NotApplicable
from conformance.service import check as ids
from conformance.service.check import Group, ServiceCheck

if TYPE_CHECKING:
    from conformance.service.client import Reply
    from conformance.service.visit import Visit

_AT_ONCE_S = 1.0


async def _occupy(visit: Visit) -> None:
    """Take every slot with a long task."""
    slots = visit.facts.concurrency
    if slots is None:
        raise NotApplicable("the capabilities tell no concurrency for the pool")
    if slots >= visit.target.fill:
        raise NotApplicable(f"{slots} slots are more than --fill {visit.target.fill} tasks can take")
    for _ in range(slots):
        await visit.admit(visit.long_task())


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
    capacity = visit.facts.queue_capacity
    most = (visit.facts.concurrency or 1) + (capacity or visit.target.fill) + 1
    if most > visit.target.fill:
        raise NotApplicable(f"it takes {most} tasks to fill the queue; --fill allows {visit.target.fill}")
    reply = await _until_refused(visit, visit.target.fill)  # some may be over before the queue is full
    if reply is None:
        raise NotApplicable(
            f"{visit.target.fill} tasks did not fill the queue: it drops, or the answers are short (--max-tokens)"
        )
    allowed = {code.code for code in visit.spec.errors.values() if code.http == 429}
    visit.expect(reply.status == 429 and reply.code in allowed, f"429 with {' or '.join(sorted(allowed))}", reply)


async def _until_refused(visit: Visit, most: int) -> Reply | None:
    for _ in range(most):
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
