"""What is in a stream, who may read it and how often, and what a deadline does to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from conformance.findings import NotApplicable, NotTestable
from conformance.service import check as ids
from conformance.service.check import Group, ServiceCheck

if TYPE_CHECKING:
    from conformance.service.stream import Reading
    from conformance.service.visit import Visit

_DEADLINE_MS = 400
_LATE_S = 2.0
"""How late a frame may be that a bound promises: schedulers and networks are between."""


async def _everyday(visit: Visit) -> None:
    reading = await visit.complete()
    reading = await visit.complete(visit.task(max_tokens=1))
    visit.expect(reading.last is not None and reading.last.event == "end", "`end` for a short task", reading.kinds)


async def _errors_in_streams(visit: Visit) -> None:
    await _everyday(visit)
    reply = await visit.offer(visit.long_task(deadline_ms=_DEADLINE_MS))
    if reply.status == 202:
        await visit.read(str(reply.fields.get("task_id")))


async def _replay(visit: Visit) -> None:
    task_id = await visit.admit()
    first, second = await visit.finish(task_id), await visit.read(task_id)
    _expect_same(visit, first, second, 0)


async def _two_readers(visit: Visit) -> None:
    task_id = await visit.admit(visit.long_task(max_tokens=min(32, visit.facts.max_tokens)))
    async with visit.stream(task_id) as first:
        await first.first("started")
        async with visit.stream(task_id) as second:
            await first.over()
            await second.over()
    _expect_same(visit, first, second, 0)


async def _resume_when_over(visit: Visit) -> None:
    task_id = await visit.admit()
    whole = await visit.finish(task_id)
    for after in (1, 2, len(whole.frames) - 1):
        _expect_same(visit, whole, await visit.read(task_id, after=after), after)


async def _resume_while_running(visit: Visit) -> None:
    task_id = await visit.admit(visit.long_task(max_tokens=min(32, visit.facts.max_tokens)))
    async with visit.stream(task_id) as first:
        await first.first("token")
        async with visit.stream(task_id, after=1) as second:
            await first.over()
            await second.over()
    _expect_same(visit, first, second, 1)


async def _resume_after_leaving(visit: Visit) -> None:
    if not visit.target.resume_window_ms:
        raise NotApplicable("no resume window; --resume-window-ms says that there is one")
    task_id = await visit.admit(visit.long_task(max_tokens=min(32, visit.facts.max_tokens)))
    async with visit.stream(task_id) as first:
        await first.first("token")
    await trio.sleep(min(0.5, visit.target.resume_window_ms / 2000))
    seen = len(first.frames)
    second = await visit.read(task_id, after=seen)
    visit.expect(not second.is_canceled, "a task that runs on within the window", second.kinds)
    whole = await visit.read(task_id)
    _expect_same(visit, whole, second, seen)


async def _last_event_id(visit: Visit) -> None:
    task_id = await visit.admit()
    await visit.finish(task_id)
    reply = await visit.call("GET", f"/v1/tasks/{task_id}/stream", headers=[("Last-Event-ID", "first")])
    visit.refused(reply, "INVALID_PARAMS", "Last-Event-ID: first")


def _expect_same(visit: Visit, whole: Reading, part: Reading, after: int) -> None:
    """Expect the frames of `part` to be those of `whole` past the first `after`, byte for byte."""
    expected, actual = [frame.raw for frame in whole.frames[after:]], [frame.raw for frame in part.frames]
    if expected == actual:
        return
    pairs = enumerate(zip(expected, actual, strict=False), after + 1)
    first = next((f"frame {n}: {one!r} and {two!r}" for n, (one, two) in pairs if one != two), "")
    counts = f"{len(expected)} and {len(actual)} frames"
    visit.expect(False, f"the same frames after id {after}, byte for byte", f"{counts}; {first}")


async def _deadline(visit: Visit) -> None:
    began = trio.current_time()
    reply = await visit.offer(visit.long_task(deadline_ms=_DEADLINE_MS))
    if reply.code == "DEADLINE_UNMET":
        raise NotTestable("the deadline cannot be met at admission: the pool has other work")
    visit.require(reply.status == 202, "202 for a task without fault", reply)
    reading = await visit.read(str(reply.fields.get("task_id")))
    took_s = trio.current_time() - began
    last = reading.last
    if last is not None and last.event == "end" and 1000 * took_s < _DEADLINE_MS:
        raise NotTestable(f"{visit.facts.max_tokens} tokens took {took_s:.2g} s: ask for more with --max-tokens")
    is_it = last is not None and last.event == "error" and last.data.get("code") == "DEADLINE_UNMET"
    visit.expect(is_it, f"`error` with DEADLINE_UNMET after {_DEADLINE_MS} ms", last.text if last else reading.kinds)
    visit.expect(
        took_s < _DEADLINE_MS / 1000 + _LATE_S, f"the end within {_LATE_S} s of the deadline", f"{took_s:.3g} s"
    )


CHECKS = (
    ServiceCheck(
        id=ids.ORDER,
        title="`started` first, then tokens, then one terminal frame",
        group=Group.STREAM,
        requirements=("OC-CTRL-2020", "OC-CTRL-2027", "OC-CTRL-2027a"),
        play=_everyday,
        causes=("`started` waits for the first token", "two parts of the service end the stream"),
    ),
    ServiceCheck(
        id=ids.PAYLOAD,
        title="each frame's data is one line of JSON as its schema has it",
        group=Group.STREAM,
        requirements=("OC-CTRL-2020a", "OC-CTRL-2021", "OC-CTRL-2029"),
        play=_errors_in_streams,
    ),
    ServiceCheck(
        id=ids.NUMBERED,
        title="frames are numbered from 1 with no gap",
        group=Group.STREAM,
        requirements=("OC-CTRL-2020b",),
        play=_everyday,
    ),
    ServiceCheck(
        id=ids.INDEXED,
        title="tokens are numbered from 0 with no gap",
        group=Group.STREAM,
        requirements=("OC-CTRL-2027b",),
        play=_everyday,
    ),
    ServiceCheck(
        id=ids.ENDED,
        title="the body ends after the terminal frame and not before it",
        group=Group.STREAM,
        requirements=("OC-CTRL-2027d", "OC-CTRL-2027", "OC-CTRL-2028"),
        play=_errors_in_streams,
    ),
    ServiceCheck(
        id=ids.STREAM_HEAD,
        title="a stream has the headers of the table and is not compressed",
        group=Group.STREAM,
        requirements=("OC-CTRL-2025b", "OC-CTRL-2025a"),
        play=_everyday,
        causes=("a compressing layer stands before the stream",),
    ),
    ServiceCheck(
        id=ids.ERROR_FRAME,
        title="an `error` frame has a code that a stream may carry",
        group=Group.STREAM,
        requirements=("OC-CTRL-2030",),
        play=_errors_in_streams,
    ),
    ServiceCheck(
        id="S-STR-08",
        title="a stream that is over reads the same again",
        group=Group.STREAM,
        requirements=("OC-CTRL-2022",),
        play=_replay,
        causes=("frames are made for each reader and not once",),
    ),
    ServiceCheck(
        id="S-STR-09",
        title="two readers at the same time read the same",
        group=Group.STREAM,
        requirements=("OC-CTRL-2022",),
        play=_two_readers,
        causes=("one reader takes the frames away from the other",),
    ),
    ServiceCheck(
        id="S-STR-10",
        title="Last-Event-ID gives every frame after it, when the task is over",
        group=Group.STREAM,
        requirements=("SSE-1003c",),
        play=_resume_when_over,
        causes=("the frame with that id is given again", "the header is not read"),
    ),
    ServiceCheck(
        id="S-STR-11",
        title="Last-Event-ID gives every frame after it, while the task runs",
        group=Group.STREAM,
        requirements=("SSE-1003c",),
        play=_resume_while_running,
    ),
    ServiceCheck(
        id="S-STR-12",
        title="a client that comes back within the resume window misses nothing",
        group=Group.STREAM,
        requirements=("SSE-1003b", "SSE-1003c"),
        play=_resume_after_leaving,
    ),
    ServiceCheck(
        id="S-STR-13",
        title="a Last-Event-ID that is no id is refused before the stream begins",
        group=Group.STREAM,
        requirements=("OC-CTRL-2034",),
        play=_last_event_id,
    ),
    ServiceCheck(
        id="S-STR-14",
        title="a deadline that passes ends the task with DEADLINE_UNMET",
        group=Group.STREAM,
        requirements=("OC-CORE-1022", "OC-CORE-1020"),
        play=_deadline,
        causes=("the deadline holds for the wait only", "it is measured from the first token"),
    ),
)
