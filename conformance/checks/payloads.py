"""What limits an answer: how many tokens it may have, the strings it stops at, and what is told of either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter_api import AdapterError, End, PoolUnavailable, Sampling
from conformance.check import Check, Group, Scene, each, joined, one
from conformance.engines.script import Script
from conformance.findings import NotApplicable
from conformance.subject import SCRIPTS

from .scripts import WORDS, quick

if TYPE_CHECKING:
    from adapter_api import TaskRequest
    from conformance.bench import Bench
    from conformance.lab import Lab
    from conformance.reading import Reading

_MADE_UP = Script()
_ENOUGH = 24  # tokens: more than what a stop string is taken from
_HUGE = 2**31 - 1


def _is_refused(reading: Reading) -> bool:
    return isinstance(reading.error, AdapterError) and reading.error.blames_request


def _has_no_room(reading: Reading) -> bool:
    """Whether the adapter takes fewer streams at once than these."""
    return isinstance(reading.error, PoolUnavailable)


def _tells_reasons(lab: Lab) -> bool:
    return "reasons" not in lab.subject.limits


def _ended(lab: Lab, reading: Reading) -> End:
    frame = reading.frames[-1:]
    actual = f"the stream ended with {frame[0].what if frame else 'nothing'}"
    lab.require("SCH-09", reading.end is not None, "`end`", actual, *frame)
    assert reading.end is not None
    return reading.end


def _expect_limited(lab: Lab, reading: Reading, limit: int) -> None:
    """A real engine may have ended of itself; a double goes on until it is stopped."""
    end = _ended(lab, reading)
    is_within = end.tokens_out <= limit
    lab.expect("SCH-09", is_within, f"at most {limit} token(s)", f"{end.tokens_out} of them", *reading.frames[-1:])
    if SCRIPTS in lab.subject.limits:
        return
    lab.expect("SCH-09", end.tokens_out == limit, f"{limit} token(s)", f"{end.tokens_out}", *reading.frames[-1:])
    _expect_reason(lab, reading, end, "length")


def _expect_reason(lab: Lab, reading: Reading, end: End, reason: str) -> None:
    told = end.finish_reason.value
    is_right = told == reason or not _tells_reasons(lab)
    lab.expect("SCH-09", is_right, f"finish_reason={reason}", f"finish_reason={told}", *reading.frames[-1:])


async def is_limited(lab: Lab, limit: int) -> None:
    """Ask for so many tokens of an engine that would say more."""
    async with lab.open(_MADE_UP) as bench:
        _expect_limited(lab, await bench.read(bench.request(max_tokens=limit)), limit)


async def is_limited_beside_another(lab: Lab) -> None:
    """Ask for different numbers of tokens at once, the larger one first, then the smaller one."""
    async with lab.open(_MADE_UP) as bench:
        readings = {limit: bench.start(bench.request(max_tokens=limit)) for limit in (9, 2, 5)}
        for limit, reading in readings.items():
            await reading.over.wait()
            if not _has_no_room(reading):
                _expect_limited(lab, reading, limit)


async def may_be_huge(lab: Lab) -> None:
    """Ask for more tokens than any engine has room for: it ends of itself, or finds fault with the request."""
    async with lab.open(quick(*WORDS)) as bench:
        reading = await bench.read(bench.request(max_tokens=_HUGE))
        text = "".join(WORDS)
        is_whole = reading.end is not None and reading.text == text
        expected = f"the text {text!r}, or an error that blames the request"
        actual = f"{reading.text!r}, {reading.error!r}"
        lab.expect("SCH-09", is_whole or _is_refused(reading), expected, actual, *reading.frames[-1:])
        if reading.end is not None:
            _expect_reason(lab, reading, reading.end, "stop")


@dataclass(frozen=True, slots=True)
class _Stops:
    """Where in the made-up text a stop string is taken from, and the strings that go along with it."""

    at: int | None
    size: int = 4
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


async def stops_at(lab: Lab, stops: _Stops) -> None:
    """Let the engine make up a text, then ask for it again with a part of it as a stop string."""
    lab.need("stop-strings")
    async with lab.open(_MADE_UP) as bench:
        whole = await _whole(lab, bench)
        wanted = () if stops.at is None else (whole[stops.at : stops.at + stops.size],)
        strings = (*stops.before, *wanted, *stops.after)
        reading = await bench.read(_request(bench, strings))
        _expect_stopped(lab, reading, whole, strings)


async def stops_beside_another(lab: Lab) -> None:
    """Ask for one text twice at once, with different stop strings."""
    lab.need("stop-strings")
    async with lab.open(_MADE_UP) as bench:
        whole = await _whole(lab, bench)
        strings = (whole[20:24], whole[6:10])
        readings = {string: bench.start(_request(bench, (string,))) for string in strings}
        for string, reading in readings.items():
            await reading.over.wait()
            if not _has_no_room(reading):
                _expect_stopped(lab, reading, whole, (string,))


def _request(bench: Bench, stop: tuple[str, ...]) -> TaskRequest:
    return bench.request(max_tokens=_ENOUGH, sampling=Sampling(stop=stop))


async def _whole(lab: Lab, bench: Bench) -> str:
    reading = await bench.read(bench.request(max_tokens=_ENOUGH))
    _ended(lab, reading)
    return reading.text


def _expect_stopped(lab: Lab, reading: Reading, whole: str, strings: tuple[str, ...]) -> None:
    """The text ends in front of the stop string that comes first, or behind it, as engines do either."""
    if _is_refused(reading):
        raise NotApplicable("the engine takes no such stop strings, and the request is refused")
    end = _ended(lab, reading)
    found = sorted((whole.find(string), string) for string in strings if string in whole)
    at, string = found[0] if found else (len(whole), "")
    is_right = reading.text in {whole[:at], whole[: at + len(string)]}
    expected = f"the text up to {string!r}, {whole[:at]!r}" if found else f"all of {whole!r}"
    lab.expect("SCH-09", is_right, expected, f"{reading.text!r}", *reading.frames[-1:])
    _expect_reason(lab, reading, end, "stop" if found else "length")


_LIMITS = {str(limit): limit for limit in (1, 2, 3, 17)}
_STRINGS = {
    "one": _Stops(6),
    "first-sign": _Stops(0, 2),
    "across-words": _Stops(9, 9),
    "second-of-two": _Stops(12, 4, before=("\u241b",)),
    "first-of-three": _Stops(12, 4, after=("\u241b", "\u241c")),
    "odd-signs": _Stops(None, before=('"\\',), after=("\r\n", "\u2028")),
    "none-that-fits": _Stops(None, before=("\u241b",)),
}
_LIMITED = Scene(
    name="limits",
    how="An engine that makes up its text is asked for 1, 2, 3 and 17 tokens, for several limits at once, and for more "
    "than it has room for.",
    cases=joined(
        each(is_limited, _LIMITS, scripted=False),
        one(is_limited_beside_another, "at-once", scripted=False),
        one(may_be_huge, "huge"),
    ),
)
_STOPPED = Scene(
    name="stop-strings",
    how="A part of a made-up text is the stop string when it is asked for again: alone, among others, across words, of "
    "two streams at once; and strings that are nowhere in it.",
    cases=joined(each(stops_at, _STRINGS), one(stops_beside_another, "at-once")),
)

CHECKS = (
    Check(
        id="SCH-09",
        title="limits on tokens and stop strings hold, and which of them it was is told",
        group=Group.SCHEMA,
        requirements=("ADAPT-3003c", "ADAPT-3010h"),
        scenes=(_LIMITED, _STOPPED),
        causes=("a default in place of a small limit", "the first stop string alone", "`length` told for any end"),
    ),
)
