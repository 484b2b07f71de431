"""What is in a stream, who may read it and how often, and what a deadline does to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from conformance.findings import NotApplicable, NotTestable
from conformance.service import check as ids
from conformance.service.check import Group, ServiceCheck
from conformance.service.stream import OverTooSoon

if TYPE_CHECKING:
    from conformance.service.stream import Reading
    from conformance.service.visit import Visit

_DEADLINE_MS = 400
_LONG_ENOUGH_MS = 500
_LONG_ENOUGH_TOKENS = 8
"""From when on the arrival of tokens says something about when they were written."""
_SAME_ENGINE = ("pool_id", "replica_id", "engine_version", "model_digest")
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
        await first.begun(0)
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
        await first.begun()
        async with visit.stream(task_id, after=1) as second:
            await first.over()
            await second.over()
    _expect_same(visit, first, second, 1)


async def _resume_after_leaving(visit: Visit) -> None:
    if not visit.target.resume_window_ms:
        raise NotApplicable("no resume window; --resume-window-ms says that there is one")
    task_id = await visit.admit(visit.long_task(max_tokens=min(32, visit.facts.max_tokens)))
    async with visit.stream(task_id) as first:
        await first.begun()
    await trio.sleep(min(0.5, visit.target.resume_window_ms / 2000))
    seen = len(first.frames)
    second = await visit.read(task_id, after=seen)
    visit.expect(not second.is_canceled, "a task that runs on within the window", second.kinds)
    whole = await visit.read(task_id)
    _expect_same(visit, whole, second, seen)


async def _same_seed(visit: Visit) -> None:
    if "seed" not in visit.facts.features:
        raise NotApplicable("the pool does not say that it takes a seed")
    fields = {"seed": 4711, "sampling": {"temperature": 0.8}, "max_tokens": min(16, visit.facts.max_tokens)}
    once, again = [await visit.complete(visit.task(**fields)) for _ in range(2)]
    told = [[reading.frames[0].data.get(name) for name in _SAME_ENGINE] for reading in (once, again)]
    if told[0] != told[1]:
        raise NotApplicable(f"two tasks went to two engines: {told[0]} and {told[1]}")
    texts = ["".join(str(frame.data.get("t")) for frame in reading.tokens) for reading in (once, again)]
    visit.expect(texts[0] == texts[1], f"the same text for the same seed: {texts[0]!r}", repr(texts[1]))


async def _as_they_come(visit: Visit) -> None:
    """The engine's own time for the tokens has to pass between the first of them and the last."""
    reading = await visit.complete(visit.long_task())
    last = reading.last
    decode_ms = last.data.get("decode_time_ms") if last is not None else None
    if not isinstance(decode_ms, int) or decode_ms < _LONG_ENOUGH_MS or len(reading.tokens) < _LONG_ENOUGH_TOKENS:
        raise NotApplicable(f"{len(reading.tokens)} tokens in {decode_ms} ms are too few to tell; see --max-tokens")
    last_at, middle_at = reading.tokens[-1].at, reading.tokens[len(reading.tokens) // 2].at
    spread_ms, half_ms = 1000 * (last_at - reading.tokens[0].at), 1000 * (last_at - middle_at)
    told = f"{spread_ms:.0f} ms from the first to the last"
    visit.expect(spread_ms >= decode_ms / 2, f"tokens over the {decode_ms} ms in which they were made", told)
    told = f"{half_ms:.0f} ms from the middle one to the last"
    visit.expect(half_ms >= decode_ms / 8, f"no half of the tokens together after {decode_ms} ms", told)


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
        raise OverTooSoon(f"in {took_s:.2g} s, before its deadline")
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
        causes=(
            "a field of an inner event leaks into the frame",
            "numbers are written as text, or integers as 1.0",
        ),
    ),
    ServiceCheck(
        id=ids.NUMBERED,
        title="frames are numbered from 1 with no gap",
        group=Group.STREAM,
        requirements=("OC-CTRL-2020b",),
        play=_everyday,
        causes=(
            "heartbeats are counted",
            "ids are given when frames are written, not when they are made",
        ),
    ),
    ServiceCheck(
        id=ids.INDEXED,
        title="tokens are numbered from 0 with no gap",
        group=Group.STREAM,
        requirements=("OC-CTRL-2027b",),
        play=_everyday,
        causes=(
            "tokens are counted over all tasks",
            "the index is the engine's and not the frame's",
        ),
    ),
    ServiceCheck(
        id=ids.ENDED,
        title="the body ends after the terminal frame and not before it",
        group=Group.STREAM,
        requirements=("OC-CTRL-2027d", "OC-CTRL-2027", "OC-CTRL-2028"),
        play=_errors_in_streams,
        causes=(
            "the connection is kept open for another frame",
            "a failure closes the connection and says nothing",
        ),
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
        causes=(
            "a code of admission is used after it",
            "an exception's name is the code",
        ),
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
        causes=(
            "a reader that joins is given what comes from then on",
            "frames that were sent are forgotten",
        ),
    ),
    ServiceCheck(
        id="S-STR-12",
        title="a client that comes back within the resume window misses nothing",
        group=Group.STREAM,
        requirements=("SSE-1003b", "SSE-1003c"),
        play=_resume_after_leaving,
        causes=(
            "the window begins at the last frame and not when the reader leaves",
            "a task is cancelled in the handler of its stream",
        ),
    ),
    ServiceCheck(
        id="S-STR-13",
        title="a Last-Event-ID that is no id is refused before the stream begins",
        group=Group.STREAM,
        requirements=("OC-CTRL-2034",),
        play=_last_event_id,
        causes=(
            "the header is read when the stream has begun",
            "what is no number counts as 0",
        ),
    ),
    ServiceCheck(
        id="S-STR-14",
        title="a deadline that passes ends the task with DEADLINE_UNMET",
        group=Group.STREAM,
        requirements=("OC-CORE-1022", "OC-CORE-1020"),
        play=_deadline,
        causes=("the deadline holds for the wait only", "it is measured from the first token"),
    ),
    ServiceCheck(
        id="S-STR-15",
        title="the same request with the same seed gives the same text",
        group=Group.STREAM,
        requirements=("OC-CORE-1030",),
        play=_same_seed,
        causes=("the seed is not passed on", "the engine's answer depends on what else it computes at that time"),
    ),
    ServiceCheck(
        id="S-STR-16",
        title="tokens are written as they are made",
        group=Group.STREAM,
        requirements=("OC-CTRL-2026", "OC-CTRL-2026a"),
        play=_as_they_come,
        causes=("a proxy gathers the answer before it passes it on", "a window that gathers frames is on"),
    ),
)
