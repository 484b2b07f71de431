"""Two lives of one adapter: the same requests have to lead to the same bytes and events, whatever the context draws."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

from conformance.check import Scene, joined, one
from conformance.subject import SEED

from .scripts import quick

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapter_api import JsonValue
    from conformance.engines.received import Received
    from conformance.lab import Lab

_DRAWS = (0.125, 0.5, 0.875)
_OTHER_DRAWS = (0.75, 0.25, 0.0625)


@dataclass(frozen=True, slots=True)
class _Play:
    """What one life of the adapter sent, and what it gave."""

    received: tuple[Received, ...]
    frames: tuple[tuple[tuple[str, object], ...], ...]


async def _play(lab: Lab, draws: Iterable[float], seed: int | None) -> _Play:
    numbers = cycle(draws)
    async with lab.open(quick("Hello", " there"), random=lambda: next(numbers)) as bench:
        readings = [await bench.read(bench.request(seed=seed)) for _ in range(2)]
        frames = tuple(tuple((frame.kind, dict(frame.data)) for frame in reading.frames) for reading in readings)
        return _Play(tuple(bench.received), frames)


async def repeats_itself(lab: Lab, *, other_draws: bool) -> None:
    """Play the same two requests to two lives of the adapter; bytes and events have to be the same.

    With `other_draws` the context draws other numbers, and the requests give a seed, so that none has to be drawn.
    """
    seed = 7 if other_draws and SEED not in lab.subject.limits else None
    lab.given.append(f"two lives with {'other' if other_draws else 'the same'} draws, requests with seed={seed}")
    first = await _play(lab, _DRAWS, seed)
    second = await _play(lab, _OTHER_DRAWS if other_draws else _DRAWS, seed)
    for number, (one_, other) in enumerate(zip(first.received, second.received, strict=False)):
        _expect_same(
            lab, f"request {number}", ("body", one_.body, other.body), ("headers", one_.headers, other.headers)
        )
    counts = len(first.received), len(second.received)
    lab.expect("DET-03", counts[0] == counts[1], f"{counts[0]} requests each time", f"{counts[1]} requests")
    _expect_same(lab, "the streams", ("events", first.frames, second.frames))


async def draws_a_seed_at_most(lab: Lab) -> None:
    """Play requests without a seed under two series of draws: only a seed may differ."""
    first, second = await _play(lab, _DRAWS, None), await _play(lab, _OTHER_DRAWS, None)
    for number, (one_, other) in enumerate(zip(first.received, second.received, strict=False)):
        _expect_same(
            lab,
            f"request {number}",
            ("fields beside the seed", _without(one_.fields, SEED), _without(other.fields, SEED)),
            ("other fields", one_.others, other.others),
            ("headers", _without(one_.headers, "content-length"), _without(other.headers, "content-length")),
        )


def _without(members: Mapping[str, JsonValue], name: str) -> dict[str, JsonValue]:
    return {key: value for key, value in members.items() if key != name}


def _expect_same(lab: Lab, what: str, *parts: tuple[str, object, object]) -> None:
    """Hold parts of two plays to each other; values stay unsaid, since they differ with every run if they do."""
    for name, one_, other in parts:
        lab.expect("DET-03", one_ == other, f"{what}: the same {name} in both lives", f"{what}: other {name}")


async def _same_draws(lab: Lab) -> None:
    await repeats_itself(lab, other_draws=False)


async def _other_draws(lab: Lab) -> None:
    await repeats_itself(lab, other_draws=True)


REPEATED = Scene(
    name="same-again",
    how="The same requests to two lives of the adapter, with the same draws of its context and with others.",
    cases=joined(
        one(_same_draws, "same-draws"),
        one(_other_draws, "other-draws"),
        one(draws_a_seed_at_most, "other-draws-no-seed"),
    ),
)
