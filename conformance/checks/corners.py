"""Corners that only a mutant has found: several things in one piece, ids that look alike, bounds that meet halfway.

Each of these scenes belongs to a check of another file; without it, an adapter that is broken there passes everything.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from adapter_api import DeadlineUnmet, TaskId
from conformance.check import Scene, each, one
from conformance.engines.script import (
    Accept,
    Answer,
    Cut,
    Fail,
    Pause,
    Script,
    SplitBytesAt,
    Stall,
    Step,
    Text,
    Together,
)
from conformance.reading import Plan
from conformance.times import STEP_S, TICK_S

from .scripts import FIRST_TOKEN_S, IDLE_S, WORDS, steady

if TYPE_CHECKING:
    from conformance.lab import Lab
    from conformance.transcript import Frame

_JSON = "application/json"
_CUT_AT = 300
"""Characters of an engine's words that may be quoted."""
_MANY_WORDS = "a reason and " * 200
_SLACK_S = 0.25
_DEADLINE_S = 1.5


async def comes_in_one_piece_with_tokens(lab: Lab, last: Step) -> None:
    """Let tokens and the failure behind them arrive in one piece."""
    lab.need("wire")
    if last == Cut(clean=True):
        lab.need("end-marker")
    async with lab.open(Script.of(Together(), Accept(), *map(Text, WORDS), last)) as bench:
        reading = await bench.read()
        said = "".join(WORDS)
        lab.expect("ERR-04", reading.text == said, f"the text {said!r}", f"{reading.text!r}", *reading.frames)
        lab.expect("ERR-04", reading.error is not None, "an error behind it", "the stream did not fail")


async def is_canceled_in_the_middle_of_a_piece(lab: Lab) -> None:
    """Cancel after the first of three tokens that have arrived in one piece."""
    lab.need("wire")

    async def cancel(frame: Frame) -> None:
        if frame.kind == "token":
            await bench.cancel(reading.request.task_id)

    async with lab.open(Script.of(Together(), Accept(), *map(Text, WORDS), Stall())) as bench:
        reading = bench.start(plan=Plan(at_frame=cancel))
        await reading.over.wait()
        late = reading.tokens[1:]
        lab.expect("CAN-01", not late, "no token after cancel() has returned", f"{len(late)} came", *late)
        told, last = reading.end.tokens_out if reading.end else None, reading.frames[-1:]
        lab.expect("SCH-07", told == 1, "tokens_out=1, the token that was given", f"tokens_out={told}", *last)


async def streams_do_not_mix_in_pieces(lab: Lab, sizes: tuple[int, ...]) -> None:
    """Run four streams at once whose bytes arrive in small pieces, a piece of one after a piece of another."""
    lab.need("wire")
    alphabets = [tuple(f"<{number}:{letter}é>" for letter in "abcd") for number in range(4)]
    scripts = [Script.of(SplitBytesAt(sizes), *steady(words).steps) for words in alphabets]
    async with lab.open(*scripts, slots=4) as bench:
        readings = []
        for _ in scripts:
            readings.append(bench.start())
            await lab.settle()  # the n-th request reaches the engine before the next is made
        for reading, words in zip(readings, alphabets, strict=True):
            await reading.over.wait()
            lab.expect("CON-01", reading.text == "".join(words), f"{''.join(words)!r} for {reading.who}", reading.text)


async def a_key_is_cut_nowhere(lab: Lab, before: int) -> None:
    """Let an engine's words hold the key where they are cut to the length that may be quoted."""
    lab.need("wire")
    words = f"{'x' * (_CUT_AT - before - 1)} {lab.canaries['api_key']}"
    body = json.dumps({"error": {"message": words, "type": "invalid_request_error", "code": None}})
    lab.given.append(f"an engine's words with the key in them, {before} characters before the {_CUT_AT}th")
    async with lab.open(Script.of(Answer(400, body.encode(), _JSON))) as bench:
        await bench.read()
    for sink, text in list(lab.told):
        sighting = lab.canaries.find(text, sink, ("api_key",))
        lab.expect("RED-02", sighting is None, "no credential that came from outside", f"{sighting} in a {sink}")


async def is_short_whatever_is_said(lab: Lab) -> None:
    """Let the engine refuse with two thousand characters of reasons."""
    lab.need("wire")
    async with lab.open(Script.of(Fail(400, "invalid_request_error", _MANY_WORDS))) as bench:
        error = (await bench.read()).error
        count = error.message.count("reason") if error is not None else 0
        most = _CUT_AT // len("a reason and ") + 1
        lab.expect("ERR-07", count <= most, f"at most {_CUT_AT} characters of the engine's words", f"{count} sentences")


async def an_id_that_looks_alike_is_another(lab: Lab) -> None:
    """Cancel a stream whose id is the beginning of another's, and the end of a third one's."""
    async with lab.open(steady(), slots=3) as bench:
        named = {name: bench.start(bench.request(task_id=TaskId(name))) for name in ("job-1", "job-12", "a-job-1")}
        await lab.until(2 * STEP_S)
        await bench.cancel(TaskId("job-1"))
        for name in ("job-12", "a-job-1"):
            await named[name].over.wait()
            is_whole = named[name].text == "".join(WORDS)
            lab.expect("CAN-08", is_whole, f"all of the answer of {name}", f"{named[name].text!r}")


async def head_and_token_share_their_time(lab: Lab) -> None:
    """Let half of the first token's time pass before the head of the answer comes, and nothing after it."""
    lab.need("head")
    script = Script.of(Pause(FIRST_TOKEN_S / 2), Accept(), Stall())
    async with lab.open(script, first_token_s=FIRST_TOKEN_S, idle_s=2 * FIRST_TOKEN_S) as bench:
        reading = bench.start()
        await lab.until(FIRST_TOKEN_S - TICK_S)
        lab.expect("TMO-01", not reading.over.is_set(), f"patience until t={FIRST_TOKEN_S:g} s", "it gave up before")
        await lab.until(FIRST_TOKEN_S + _SLACK_S)
        is_over = reading.error is not None
        if not lab.expect("TMO-01", is_over, f"an error by t={FIRST_TOKEN_S + _SLACK_S:g} s", "it still waits"):
            reading.abandon()


async def a_late_head_takes_from_the_deadline(lab: Lab) -> None:
    """Let most of the request's time pass before the engine accepts, and tokens come all the time after it."""
    talk = tuple(step for number in range(64) for step in (Text(f" {number}"), Pause(STEP_S)))
    async with lab.open(Script.of(Pause(1.0), Accept(), *talk), first_token_s=FIRST_TOKEN_S, idle_s=IDLE_S) as bench:
        reading = bench.start(bench.request(deadline_ms=round(_DEADLINE_S * 1000)))
        await lab.until(_DEADLINE_S + _SLACK_S)
        error, latest = reading.error, f"t={_DEADLINE_S + _SLACK_S:g} s"
        if not lab.expect("TMO-05", isinstance(error, DeadlineUnmet), f"DeadlineUnmet by {latest}", f"{error!r}"):
            reading.abandon()


_FAILURES: dict[str, Step] = {
    "error": Fail(500, "server_error", "it broke", in_stream=True),
    "cut": Cut(clean=False),
    "clean-end": Cut(clean=True),
}
FAILS_IN_ONE_PIECE = Scene(
    name="one-piece",
    how="Three tokens arrive in one piece with the failure behind them.",
    cases=each(comes_in_one_piece_with_tokens, _FAILURES),
)
CANCELED_IN_ONE_PIECE = Scene(
    name="cancel-in-one-piece",
    how="Three tokens arrive in one piece, and the stream is canceled at the first of them.",
    cases=one(is_canceled_in_the_middle_of_a_piece),
)
IN_PIECES_SIDE_BY_SIDE = Scene(
    name="pieces-side-by-side",
    how="Four streams at once, their bytes in pieces of one, three and seven.",
    cases=each(streams_do_not_mix_in_pieces, {"1": (1,), "3": (3,), "7": (7,)}),
)
CUT_KEY = Scene(
    name="cut-key",
    how="An engine's words hold the key where an adapter cuts them.",
    cases=each(a_key_is_cut_nowhere, {"a-quarter": 10, "half": 20, "most": 30}),
)
LONG_WORDS = Scene(name="long-words", how="The engine's words are long.", cases=one(is_short_whatever_is_said))
ALIKE = Scene(
    name="ids-alike",
    how="One id is the beginning of another, and the end of a third.",
    cases=one(an_id_that_looks_alike_is_another),
)
LATE_HEAD = Scene(
    name="late-head",
    how="The head of the answer takes half of the first token's time.",
    cases=one(head_and_token_share_their_time),
)
LATE_TALK = Scene(
    name="late-talk",
    how="The engine accepts when most of the deadline has passed, and goes on beyond it.",
    cases=one(a_late_head_takes_from_the_deadline),
)
