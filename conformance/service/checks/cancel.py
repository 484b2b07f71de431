"""Cancel: acknowledged at once, no token after it, harmless to repeat; and a client that leaves cancels too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from conformance.findings import NotApplicable
from conformance.service.check import Group, ServiceCheck
from conformance.service.stream import OverTooSoon

if TYPE_CHECKING:
    from conformance.service.client import Reply
    from conformance.service.stream import Reading
    from conformance.service.visit import Visit

_AFTER_TOKENS = (0, 1, 2, 5)
"""After how many tokens a cancel is sent: the moments in which a stream is different."""
_BURST_S = 0.5
"""How long it takes at most to read a stream that is over."""
_NOTICED_S = 1.5
"""How long a service may take to notice that a client is gone."""


def _acknowledged(visit: Visit, reply: Reply, about: str) -> None:
    visit.expect(reply.status == 204, f"204 for {about}", reply)
    visit.expect(reply.body == b"", f"an empty body for {about}", reply)


async def _cancel_midway(visit: Visit, after: int, *, by_delete: bool = False) -> tuple[Reading, float]:
    """Cancel a long task after so many tokens; return what was read and when the acknowledgement was."""
    task_id = await visit.admit(visit.long_task())
    async with visit.stream(task_id) as reading:
        await reading.begun(after)
        reply = await visit.cancel(task_id, by_delete=by_delete)
        acknowledged_at = trio.current_time()
        _acknowledged(visit, reply, "the cancel of a running task")
        await reading.over()
    if reading.last is not None and reading.last.at < acknowledged_at and not reading.is_canceled:
        raise OverTooSoon("before it can be cancelled")
    return reading, acknowledged_at


async def _no_token_after(visit: Visit) -> None:
    for after in _AFTER_TOKENS:
        reading, acknowledged_at = await _cancel_midway(visit, after)
        late = [frame for frame in reading.tokens if frame.at > acknowledged_at + visit.facts.settle_s]
        told = f"{len(late)}, the last {late[-1].at - acknowledged_at:.3f} s after it" if late else ""
        visit.expect(not late, f"no token after the 204 of a cancel after {after} tokens", told)


async def _ends_canceled(visit: Visit) -> None:
    for after in _AFTER_TOKENS:
        reading, _ = await _cancel_midway(visit, after)
        told = reading.last.text if reading.last else "nothing"
        visit.expect(reading.is_canceled, f"`end` with canceled: true after {after} tokens", told)


async def _before_it_is_read(visit: Visit) -> None:
    task_id = await visit.admit(visit.long_task())
    _acknowledged(visit, await visit.cancel(task_id), "the cancel of a task that nobody reads")
    reading = await visit.read(task_id)
    if not reading.is_canceled and not _comes_slowly(reading):
        raise OverTooSoon("before it can be cancelled")
    visit.expect(reading.is_canceled, "`end` with canceled: true", reading.kinds)


def _comes_slowly(reading: Reading) -> bool:
    """Whether frames were still being made while they were read."""
    return bool(reading.frames) and reading.frames[-1].at - reading.frames[0].at > _BURST_S


async def _in_time(visit: Visit) -> None:
    bound_s = visit.spec.bounds["stream.cancel_ack_timeout_ms"].value / 1000 + visit.facts.settle_s
    task_id = await visit.admit(visit.long_task())
    async with visit.stream(task_id) as reading:
        await reading.begun()
        began = trio.current_time()
        await visit.cancel(task_id)
        took_s = trio.current_time() - began
    visit.expect(took_s <= bound_s, f"the acknowledgement within {bound_s:.3g} s", f"{took_s:.3g} s")


async def _again(visit: Visit) -> None:
    task_id = await visit.admit(visit.long_task())
    for _ in range(3):
        _acknowledged(visit, await visit.cancel(task_id), "a cancel that is repeated")
    first, second = await visit.read(task_id), await visit.read(task_id)
    same = [frame.raw for frame in first.frames] == [frame.raw for frame in second.frames]
    visit.expect(same, "the same stream however often it was cancelled", f"{first.kinds} and {second.kinds}")


async def _when_over(visit: Visit) -> None:
    task_id = await visit.admit()
    before = await visit.finish(task_id)
    _acknowledged(visit, await visit.cancel(task_id), "the cancel of a task that is over")
    after = await visit.read(task_id)
    same = [frame.raw for frame in before.frames] == [frame.raw for frame in after.frames]
    visit.expect(same, f"a stream that a late cancel did not change: {before.kinds}", after.kinds)


async def _by_delete(visit: Visit) -> None:
    reading, acknowledged_at = await _cancel_midway(visit, 1, by_delete=True)
    late = [frame for frame in reading.tokens if frame.at > acknowledged_at + visit.facts.settle_s]
    visit.expect(reading.is_canceled and not late, "what POST .../cancel does", reading.kinds)
    task_id = await visit.admit()
    await visit.finish(task_id)
    _acknowledged(visit, await visit.cancel(task_id, by_delete=True), "DELETE of a task that is over")


async def _by_leaving(visit: Visit) -> None:
    if visit.target.runs_on:
        raise NotApplicable("the service is configured to go on without a reader (--runs-on)")
    task_id = await visit.admit(visit.long_task())
    async with visit.stream(task_id) as reading:
        await reading.begun()
    await trio.sleep(visit.target.resume_window_ms / 1000 + _NOTICED_S)
    again = await visit.read(task_id)
    if visit.target.resume_window_ms and not again.is_canceled and not _comes_slowly(again):
        raise NotApplicable("the answer was over before the resume window was; see --max-tokens")
    visit.expect(again.is_canceled, "`end` with canceled: true once the only reader has left", again.kinds)


CHECKS = (
    ServiceCheck(
        id="S-CAN-01",
        title="no token after a cancel is acknowledged",
        group=Group.CANCEL,
        requirements=("SSE-1002", "SSE-1002a"),
        play=_no_token_after,
        causes=("frames that wait in a buffer still leave", "the 204 is sent before the stream is sealed"),
    ),
    ServiceCheck(
        id="S-CAN-02",
        title="the stream of a cancelled task ends with `end` and canceled: true",
        group=Group.CANCEL,
        requirements=("SSE-1002b", "OC-CTRL-2012"),
        play=_ends_canceled,
        causes=("the connection is closed and nothing is said", "a cancel becomes an `error`"),
    ),
    ServiceCheck(
        id="S-CAN-03",
        title="a task that was never read can be cancelled",
        group=Group.CANCEL,
        requirements=("SSE-1002b",),
        play=_before_it_is_read,
        causes=("a cancel is handed to the stream, and there is none",),
    ),
    ServiceCheck(
        id="S-CAN-04",
        title="a cancel is acknowledged in time",
        group=Group.CANCEL,
        requirements=("SSE-1002e",),
        play=_in_time,
        causes=("the 204 waits for the engine",),
    ),
    ServiceCheck(
        id="S-CAN-05",
        title="a cancel can be repeated",
        group=Group.CANCEL,
        requirements=("SSE-1002c",),
        play=_again,
        causes=(
            "a task that is cancelled is unknown from then on",
            "the second cancel makes a second end",
        ),
    ),
    ServiceCheck(
        id="S-CAN-06",
        title="cancelling a task that is over changes nothing",
        group=Group.CANCEL,
        requirements=("SSE-1002c",),
        play=_when_over,
        causes=("a second terminal frame is written", "tasks that are over are unknown"),
    ),
    ServiceCheck(
        id="S-CAN-07",
        title="DELETE of a task does what its cancel does",
        group=Group.CANCEL,
        requirements=("OC-CTRL-2004b",),
        play=_by_delete,
        causes=(
            "DELETE takes the task away instead",
            "DELETE waits for the task to end",
        ),
    ),
    ServiceCheck(
        id="S-CAN-08",
        title="a task is cancelled when its only reader leaves",
        group=Group.CANCEL,
        requirements=("SSE-1003a",),
        play=_by_leaving,
        causes=(
            "a client that is gone is noticed by the next write only",
            "the service is configured to go on without a reader: say so with --runs-on",
        ),
    ),
)
