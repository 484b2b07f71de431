"""What scripted engines do in these checks, and the instants at which they do it.

`steady` is the usual engine: silent for a step, then it accepts, works on the prompt for two steps, and says a word
every step. `moments` names its instants, so that a cancel can be put just before, at and just after each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from conformance.engines.script import Accept, Finish, Pause, Script, Stall, Step, Text
from conformance.times import STEP_S, TICK_S

WORDS = ("One", " two", " three")

ACCEPT_AT_S = STEP_S
FIRST_TOKEN_AT_S = 3 * STEP_S
FINISH_AT_S = FIRST_TOKEN_AT_S + len(WORDS) * STEP_S
FIRST_TOKEN_S = 8.0
"""Bound on the first token that time-outs are tried with."""
IDLE_S = 2.0
"""Bound on silence between tokens that time-outs are tried with."""
CHECKPOINTS = 6
"""How many checkpoints later than an instant a cancel is tried: more than an event passes on its way."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant of the steady engine: `at_s`, and so many checkpoints later."""

    at_s: float
    checkpoints: int = 0


def steady(words: tuple[str, ...] = WORDS, *last: Step) -> Script:
    """Return the usual engine; `last` replaces its end marker."""
    said = chain.from_iterable(_after(Text(word), Pause(STEP_S)) for word in words)
    return Script.of(Pause(STEP_S), Accept(), Pause(2 * STEP_S), *said, *(last or (Finish(),)))


def stalls_after(frames: int) -> Script:
    """Return an engine that falls silent before it accepts (0), before the first word (1), before the second (2), …"""
    if frames == 0:
        return Script.of(Stall())
    said = chain.from_iterable(_after(Pause(STEP_S), Text(word)) for word in WORDS[: frames - 1])
    return Script.of(Pause(STEP_S), Accept(), *said, Stall())


def _after(*steps: Step) -> tuple[Step, ...]:
    return steps


def quick(*words: str) -> Script:
    """Return an engine that says everything at once."""
    return Script.of(Accept(), *map(Text, words), Finish())


def moments() -> dict[str, Moment]:
    """Return the instants of the steady engine with their neighbours, by name."""
    return beside() | ties()


def beside() -> dict[str, Moment]:
    """Return a moment a tick before and a tick after each instant, and two with nothing near."""
    near = {"waiting": Moment(ACCEPT_AT_S / 2), "prefill": Moment(2 * STEP_S)}
    for name, at_s in _instants().items():
        near |= {f"{name}-before": Moment(at_s - TICK_S), f"{name}-after": Moment(at_s + TICK_S)}
    return near


def ties(checkpoints: int = CHECKPOINTS) -> dict[str, Moment]:
    """Return each instant itself, and up to so many checkpoints later."""
    return {
        f"{name}-tie+{extra}": Moment(at_s, extra) for name, at_s in _instants().items() for extra in range(checkpoints)
    }


def _instants() -> dict[str, float]:
    instants = {"accept": ACCEPT_AT_S, "end": FINISH_AT_S}
    instants |= {f"token-{number}": FIRST_TOKEN_AT_S + number * STEP_S for number in range(len(WORDS))}
    return instants
