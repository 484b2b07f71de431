"""What reaches the engine, and what must not make a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter_api import Determinism, Message, SessionId
from conformance.check import Check, Group, Level, Scene, each, joined, one
from conformance.findings import Finding, NotApplicable
from conformance.subject import SEED

from .lives import REPEATED
from .sameness import BYTES, SCHEDULES
from .scripts import quick
from .wishes import EDGES, ORDINARY, accepted, differences, each_alone, refusal, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter_api import AdapterError, TaskRequest
    from conformance.bench import Bench
    from conformance.engines.received import Received
    from conformance.lab import Lab
    from conformance.reading import Reading

    from .wishes import Wish

_CHAT = (
    Message("system", "You count."),
    Message("user", 'Count to "three",\nplease.'),
    Message("assistant", "One"),
    Message("user", "And on?"),
)


async def wishes_reach_the_engine(lab: Lab, wishes: Sequence[Wish]) -> None:
    """Send one request for each wish and compare it with what the engine was asked."""
    lab.given.append(f"requests with {', '.join(map(_worded, wishes))}")
    async with lab.open(quick("Hello")) as bench:
        for wish in wishes:
            if SEED not in wish or SEED not in lab.subject.limits:
                await _send(lab, bench, bench.request(**spread(wish)))


async def wishes_reach_it_together(lab: Lab) -> None:
    """Send all fields that the engine takes at once; then none, and nothing of the first request may be left."""
    async with lab.open(quick("Hello")) as bench:
        all_taken = await accepted(bench, ORDINARY)
        lab.given.append(f"a request with {_worded(all_taken)}, and after it one with nothing")
        await _send(lab, bench, bench.request(**spread(all_taken)))
        await _send(lab, bench, bench.request(seed=None))


async def wishes_are_not_mixed(lab: Lab) -> None:
    """Send two requests at the same instant, with other values for each field."""
    async with lab.open(quick("Hello")) as bench:
        taken = await accepted(bench, ORDINARY)
        requests = [
            bench.request(prompt="the first of two", **spread(taken)),
            bench.request(prompt="the second of two", **spread({"temperature": 0.25, "max_tokens": 9})),
        ]
        before = len(bench.received)
        readings = [bench.start(request) for request in requests]
        for reading in readings:
            await reading.over.wait()
        for request, reading in zip(requests, readings, strict=True):
            own = [one for one in bench.received[before:] if request.prompt in one.texts]
            _compare(lab, request, reading, own)


async def circumstances_change_nothing(lab: Lab) -> None:
    """Send requests in a session, with the cache allowed, and with determinism asked for."""
    wish = spread({"temperature": 0.75})
    async with lab.open(quick("Hello")) as bench:
        session = SessionId("session-1")
        await _send(lab, bench, bench.request(session_id=session, reuse_kv=True, **wish))
        await _send(lab, bench, bench.request(session_id=session, determinism=Determinism.STRICT, **wish))
        await _send(lab, bench, bench.request(sampler_profile_version="profile-7", deadline_ms=60_000, **wish))


async def chats_reach_the_engine(lab: Lab) -> None:
    """Send a chat of four turns with sampling parameters."""
    async with lab.open(quick("Hello")) as bench:
        request = bench.request(prompt="", messages=_CHAT, **spread({"temperature": 0.75, "max_tokens": 7}))
        await _send(lab, bench, request)


async def _send(lab: Lab, bench: Bench, request: TaskRequest) -> None:
    before = len(bench.received)
    reading = await bench.read(request)
    if refusal(reading) is None:
        _compare(lab, request, reading, bench.received[before:])


def _compare(lab: Lab, request: TaskRequest, reading: Reading, received: Sequence[Received]) -> None:
    begins = reading.frames[:1]
    if len(received) != 1:
        lab.find(Finding("DET-02", "one request for work at the engine", f"{len(received)} of them"), *begins)
        return
    for expected, actual in differences(request, reading, received[0]):
        lab.find(Finding("DET-02", f"{expected} at the engine", f"{actual}, of {request.task_id}"), *begins)


async def what_has_no_word_is_refused(lab: Lab) -> None:
    """Send each field alone; whatever is refused has to be refused well."""
    async with lab.open(quick("Hello")) as bench:
        refused = 0
        for wish in each_alone({name: value for name, value in ORDINARY.items() if name != SEED}):
            refused += await _is_refused_well(lab, bench, wish, "SCH-08")
    if not refused:
        raise NotApplicable("the adapter has a word for every field")


async def a_seed_is_refused(lab: Lab) -> None:
    """Send a seed to an engine that has no word for it."""
    if SEED not in lab.subject.limits:
        raise NotApplicable("the engine takes a seed")
    async with lab.open(quick("Hello")) as bench:
        is_refused = await _is_refused_well(lab, bench, {SEED: 41}, "DET-06")
        lab.expect("DET-06", is_refused, "a seed to be refused that the engine cannot be told", "it was taken")


async def _is_refused_well(lab: Lab, bench: Bench, wish: Wish, check_id: str) -> bool:
    before = bench.facts.submitted
    reading = await bench.read(bench.request(**spread(wish)))
    error = reading.error
    if error is None:
        return False
    name = next(iter(wish))
    why = refusal(reading)
    actual = f"{error!r}, blames_request={error.blames_request}"
    lab.expect(check_id, why is not None, f"AdapterError that blames the request for {_worded(wish)}", actual)
    lab.expect(check_id, _names(why, name), f"`{name}` named in the message", actual)
    asked = bench.facts.submitted - before
    lab.expect(
        check_id, not asked, f"no work asked of the engine for {_worded(wish)}", f"{asked} request(s) reached it"
    )
    return True


def _names(error: AdapterError | None, field: str) -> bool:
    return error is None or field in error.message


def _worded(wish: Wish) -> str:
    return " ".join(f"{name}={value!r}" for name, value in wish.items()) or "nothing"


_WISHES: dict[str, Sequence[Wish]] = {
    "nothing": ({SEED: None},),
    "one-at-a-time": each_alone(ORDINARY),
    "edges": EDGES,
}
_FORWARDED = Scene(
    name="what-reaches-the-engine",
    how="Requests with no parameter, with each alone, at their edges, all together, and none again; two at once; in a "
    "session; a chat. What reached the engine is compared.",
    cases=joined(
        each(wishes_reach_the_engine, _WISHES),
        one(wishes_reach_it_together, "together"),
        one(wishes_are_not_mixed, "two-at-once"),
        one(circumstances_change_nothing, "circumstances"),
        one(chats_reach_the_engine, "chat"),
    ),
)


CHECKS = (
    Check(
        id="DET-02",
        title="parameters and seed reach the engine as they are given",
        group=Group.DETERMINISM,
        requirements=("ADAPT-3003a",),
        scenes=(_FORWARDED,),
        causes=(
            "`if value:` where `if value is not None:` is meant: a zero is lost",
            "a default of the adapter's own put into the request",
            "a table of names with two of them swapped",
            "a body that is built once and changed for each request",
        ),
    ),
    Check(
        id="DET-03",
        title="no randomness but that of the context",
        group=Group.DETERMINISM,
        requirements=("ADAPT-3003b",),
        scenes=(REPEATED,),
        causes=(
            "an id or a nonce from uuid4 in a header",
            "a field ordered by hash",
            "a counter that outlives an adapter",
        ),
    ),
    Check(
        id="DET-04",
        title="what a stream says does not depend on the order in which tasks run",
        group=Group.DETERMINISM,
        requirements=("ADAPT-3003f",),
        scenes=(SCHEDULES,),
        causes=("two tasks that race for one stream", "state of one stream kept at the adapter"),
    ),
    Check(
        id="DET-05",
        title="what a stream says does not depend on how the engine's bytes are cut",
        group=Group.DETERMINISM,
        requirements=("ADAPT-3003f",),
        scenes=(BYTES,),
        causes=(
            "each piece taken for an event",
            "a line end looked for in one piece only",
            "text decoded piece by piece",
        ),
    ),
    Check(
        id="DET-06",
        title="a seed that the engine cannot be told is refused",
        group=Group.DETERMINISM,
        level=Level.SHOULD,
        requirements=("ADAPT-3003e",),
        scenes=(
            Scene(name="seed-without-a-word", how="A seed, to an engine without one.", cases=one(a_seed_is_refused)),
        ),
        causes=("fields that are unknown are left out",),
    ),
    Check(
        id="SCH-08",
        title="a field without a word at the engine is refused, by name and before any work",
        group=Group.SCHEMA,
        level=Level.SHOULD,
        requirements=("ADAPT-3003e",),
        scenes=(
            Scene(
                name="fields-without-a-word",
                how="Each field alone; what is refused is refused well.",
                cases=one(what_has_no_word_is_refused),
            ),
        ),
        causes=("the engine is left to refuse it", "a message without the field's name"),
    ),
)
