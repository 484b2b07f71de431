"""What may not change what a stream says: the order in which tasks run, and how the engine's bytes are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from conformance.check import MOST_SEEDS, Scene, each, joined
from conformance.engines.script import Accept, Fail, Finish, Pause, Script, SplitBytesAt, Text, Usage
from conformance.times import STEP_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue
    from conformance.engines.script import Step
    from conformance.lab import Lab
    from conformance.reading import Reading

_TIMES = frozenset({"decode_time_ms", "decode_ms"})
_LOAD = frozenset({"kv_warmth"})
_CROWD = 3
_CUTS = 6
_LONGEST_PIECE = 23
_WORDS = ("Füße", " 漢字\r\n", "👩‍👩‍👧", " data: {", '\u2028"\n\n', " end")


def said(reading: Reading) -> tuple[object, ...]:
    """Return what a stream says: its beginning, its text, its end or its error; without times and the engine's load."""
    started = [_kept(frame.data) for frame in reading.frames if frame.kind == "started"]
    last = reading.last
    ending = (last.kind, _kept(last.data)) if last is not None else None
    return started, reading.text, ending


def _kept(data: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in data.items() if name not in _TIMES | _LOAD}


async def says_the_same_in_a_crowd(lab: Lab, last: tuple[Step, ...]) -> None:
    """Read a stream alone, then several at the very same instants while reports are asked for; all say the same."""
    script = Script.of(Accept(), Text("One"), Pause(STEP_S), Text(" two"), Text(" three"), *last)
    async with lab.open(script, slots=_CROWD + 1) as bench:
        wanted = said(await bench.read())
        async with trio.open_nursery() as nursery:
            crowd = [bench.start() for _ in range(_CROWD)]
            nursery.start_soon(bench.health)
            nursery.start_soon(bench.props)
            for reading in crowd:
                await reading.over.wait()
        for reading in crowd:
            lab.expect("DET-04", said(reading) == wanted, f"as when it was alone: {wanted}", f"{said(reading)}")


async def says_the_same_however_it_is_cut(lab: Lab, last: tuple[Step, ...]) -> None:
    """Read a stream whole, then with its bytes cut at places of chance, within characters and line ends too."""
    lab.need("wire")
    steps = (Accept(), *(Text(word) for word in _WORDS), *last)
    cuts = [tuple(lab.random.randint(1, _LONGEST_PIECE) for _ in range(64)) for _ in range(_CUTS)]
    scripts = [Script(steps), *(Script((SplitBytesAt(sizes), *steps)) for sizes in ((1,), *cuts))]
    async with lab.open(*scripts) as bench:
        wanted = said(await bench.read())
        for script in scripts[1:]:
            reading = await bench.read()
            actual = f"cut at {script.steps[0]}: {said(reading)}"
            lab.expect("DET-05", said(reading) == wanted, f"as when it came whole: {wanted}", actual)


_ENDINGS: Mapping[str, tuple[Step, ...]] = {
    "ends": (Usage(5, 9), Finish("length")),
    "fails": (Fail(500, "server_error", "broken: Füße", in_stream=True),),
}
SCHEDULES = Scene(
    name="in-a-crowd",
    how="A stream alone, then three at the same instants with reports between, under eight schedules.",
    cases=joined(
        each(says_the_same_in_a_crowd, {"ends": _ENDINGS["ends"]}, MOST_SEEDS),
        each(says_the_same_in_a_crowd, {"fails": _ENDINGS["fails"]}, MOST_SEEDS // 2),
    ),
)
BYTES = Scene(
    name="cut-anywhere",
    how="The same answer whole, byte by byte, and cut at places of chance: it ends, it fails.",
    cases=each(says_the_same_however_it_is_cut, _ENDINGS),
)
