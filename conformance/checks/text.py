"""The text of a stream: all of it, unaltered, as soon as it is there, and counted rightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter_api import FinishReason
from conformance.check import Case, Check, Group, Level, Scene, each, joined, one
from conformance.engines.script import Accept, Finish, Pause, Ping, Script, SplitBytesAt, Text, Together, Usage
from conformance.times import STEP_S

from .corners import CANCELED_IN_ONE_PIECE
from .everyday import EVERYDAY
from .scripts import FIRST_TOKEN_AT_S, WORDS, quick, steady

if TYPE_CHECKING:
    from conformance.lab import Lab

_TEXTS: dict[str, tuple[str, ...]] = {
    "accents": (" caf", "é", " naïve"),
    "scripts": ("日本", "語", " \u0627\u0644", " नमस्ते"),
    "emoji": ("👩\u200d", "👩\u200d👧", " 🏳️\u200d🌈"),
    "line-ends": ("a\r\nb", "\r", "\n\n", "data: x\n\n"),
    "odd-line-ends": ("a\u2028b", "\u2029", "\x85", "\x0b\x0c"),
    "controls": ("\x00", "\x1b[31m", "\x7f", "\ufeff"),
    "quotes": ('"', "\\", '{"error": {"message": "no"}}', "[DONE]"),
    "spaces": (" ", "  ", "\t", " end "),
    "empty-pieces": ("", "a", "", "", "b", ""),
    "giant": ("x" * 1_000_000,),
    "beyond-the-plane": ("\U0001f9ff", "\U0010fffd", "\ufffd"),
    "marks-of-order": ("\ufeffOne", "\ufeff", " \ufffe\uffff"),
    "zeros": ("\x00", "a\x00b", "\x00\x00"),
    "line-ends-apart": ("a\r", "\nb\r", "\r", "\n\r\n", "\n"),
    "combining": ("e", "\u0301", "\u0301\u0327", "\U0001f1e9", "\U0001f1ea", "\ufe0f\u20e3"),
    "unseen": ("\u200b", "\u200e\u202e", "\u2066", "\u00ad", "\U000e0001"),
    "joined": ("👨\u200d", "👩\u200d", "👧", "\u200d", "👦🏽"),
    "escapes": ("\\u00e9", "\\n", "\\ud83d\\ude00", "\\", '\\"'),
    "fields": ("id: 1\n", "event: error\n", "retry: 0\n\n", ":", "data:", "data: [DONE]"),
    "words-of-parsers": ("null", " NaN", "1e400", "-0", "true", "{", "}]", "</s>", "<|im_end|>"),
    "empty-at-both-ends": ("", "", "One", "", ""),
}


async def is_given_as_it_is(lab: Lab, words: tuple[str, ...]) -> None:
    """Let the engine say these words."""
    async with lab.open(steady(words)) as bench:
        reading = await bench.read()
        said, got = "".join(words), reading.text
        lab.expect("FRM-07", got == said, f"the text {said!r}", f"{got!r}", *reading.tokens)


_SPLIT_WORDS = ("caf", "é", " 👩\u200d👧", "\u2028", "\r\n", " end")
_ODD_WORDS = ("\ufeff", "\U0010fffd", "\r", "\n", "\x00", "e\u0301", "\\u00e9", "")


async def is_whole_however_bytes_arrive(lab: Lab, cut: tuple[tuple[str, ...], tuple[int, ...]]) -> None:
    """Send the bytes of these words in pieces of these sizes."""
    lab.need("wire")
    words, sizes = cut
    async with lab.open(Script.of(SplitBytesAt(sizes), *steady(words).steps)) as bench:
        reading = await bench.read()
        lab.expect("FRM-07", reading.text == "".join(words), f"the text {''.join(words)!r}", f"{reading.text!r}")


async def is_whole_in_one_piece(lab: Lab, words: tuple[str, ...]) -> None:
    """Send all bytes of these words in one piece."""
    lab.need("wire")
    async with lab.open(Script.of(Together(), *quick(*words).steps)) as bench:
        reading = await bench.read()
        lab.expect("FRM-07", reading.text == "".join(words), f"the text {''.join(words)!r}", f"{reading.text!r}")


_KINDS_OF_SIGNS = ("a é", "\r\n\u2028\x85", "日\u0301\u200d", "👩🏽\U0010fffd", '"\\{}[]:', "\x00\x1b\x7f\ufeff")


async def is_whole_whatever_it_is(lab: Lab) -> None:
    """Draw words of signs that decoders break on, and the sizes of the pieces in which their bytes arrive."""
    draw = lab.random
    words = tuple("".join(draw.choices(draw.choice(_KINDS_OF_SIGNS), k=draw.randrange(4))) for _ in range(12))
    sizes = tuple(draw.choice((1, 2, 3, 5, 8, 64, 4096)) for _ in range(4))
    async with lab.open(Script.of(SplitBytesAt(sizes), *quick(*words).steps)) as bench:
        reading = await bench.read()
        lab.expect("FRM-07", reading.text == "".join(words), f"the text {''.join(words)!r}", f"{reading.text!r}")


async def comes_when_it_is_said(lab: Lab) -> None:
    """Compare the time of each token with the time at which the engine said it."""
    async with lab.open(steady()) as bench:
        reading = await bench.read()
        for number, word in enumerate(WORDS):
            said_at_s = FIRST_TOKEN_AT_S + number * STEP_S
            so_far = "".join(str(frame.data.get("t")) for frame in reading.tokens if frame.at_s <= said_at_s)
            expected = f"{word!r} by t={said_at_s:g} s, when the engine says it"
            is_there = so_far.startswith("".join(WORDS[: number + 1]))
            lab.expect("FRM-08", is_there, expected, f"by then only {so_far!r} had come")


async def may_be_none(lab: Lab) -> None:
    """Let the engine end at once."""
    async with lab.open(quick()) as bench:
        reading = await bench.read()
        kinds = [frame.kind for frame in reading.frames if frame.kind != "metrics"]
        lab.expect("FRM-10", kinds == ["started", "end"], "`started`, `end`", f"{kinds}", *reading.frames)


async def has_signs_of_life_in_between(lab: Lab) -> None:
    """Put the engine's keep-alives between the words."""
    lab.need("wire")
    steps = (Accept(), Ping(), Text("One"), Ping(), Ping(), Pause(STEP_S), Text(" two"), Ping(), Finish())
    async with lab.open(Script.of(*steps)) as bench:
        reading = await bench.read()
        kinds = [frame.kind for frame in reading.frames if frame.kind not in {"metrics", "token"}]
        is_clean = kinds == ["started", "end"] and reading.text == "One two"
        lab.expect("FRM-12", is_clean, "keep-alives to leave no trace", f"{kinds} with text {reading.text!r}")


async def is_counted_by_the_engine(lab: Lab, counts: tuple[int, int]) -> None:
    """Let the engine report counts of its own."""
    lab.need("counts")
    tokens_in, tokens_out = counts
    steps = (Accept(), Text("One"), Text(" two"), Usage(tokens_in, tokens_out), Finish())
    async with lab.open(Script.of(*steps)) as bench:
        end = (await bench.read()).end
        lab.require("SCH-07", end is not None, "`end`", "the stream did not end well")
        assert end is not None
        expected = f"tokens_out={tokens_out}, the engine's own count"
        lab.expect("SCH-07", end.tokens_out == tokens_out, expected, f"tokens_out={end.tokens_out}")
        is_right = end.tokens_in in {None, tokens_in}
        lab.expect("SCH-07", is_right, f"tokens_in={tokens_in} or nothing", f"tokens_in={end.tokens_in}")


async def is_timed(lab: Lab) -> None:
    """Compare the decode time with the time from the first token to the end."""
    async with lab.open(steady()) as bench:
        end = (await bench.read()).end
        wanted_ms = round(len(WORDS) * STEP_S * 1000)
        actual = f"decode_time_ms={end.decode_time_ms if end else None}"
        is_right = end is not None and abs(end.decode_time_ms - wanted_ms) <= 1
        lab.expect("SCH-07", is_right, f"decode_time_ms={wanted_ms}", actual)


_REASONS = {"stop": "stop", "stop_string": "stop", "length": "length"}


@dataclass(frozen=True, slots=True)
class _Ending:
    """The engine's reason, and what it has said by then."""

    reason: str
    words: tuple[str, ...] = ("One",)


async def ends_for_the_engines_reason(lab: Lab, ending: _Ending) -> None:
    """Let the engine end for this reason."""
    lab.need("reasons")
    async with lab.open(Script.of(Accept(), *map(Text, ending.words), Finish(ending.reason))) as bench:
        end = (await bench.read()).end
        wanted = _REASONS[ending.reason]
        actual = f"finish_reason={end.finish_reason.value if end else None}"
        is_right = end is not None and end.finish_reason.value == wanted
        lab.expect("SCH-06", is_right, f"finish_reason={wanted}", actual)


async def ends_for_a_reason_of_its_own(lab: Lab) -> None:
    """Let the engine end for a reason that nobody else has."""
    lab.need("reasons")
    lab.need("own-reasons")
    async with lab.open(Script.of(Accept(), Text("One"), Finish("other"))) as bench:
        reading = await bench.read()
        end, last = reading.end, reading.frames[-1:]
        lab.require("SCH-06", end is not None, "`end`", "the stream did not end well", *last)
        assert end is not None
        is_other = end.finish_reason is FinishReason.OTHER
        lab.expect("SCH-06", is_other, "finish_reason=other", f"finish_reason={end.finish_reason.value}", *last)
        word = end.engine_finish_reason
        lab.expect("SCH-06", bool(word), "engine_finish_reason with the engine's word", f"{word!r}", *last)


async def may_look_like_a_secret(lab: Lab) -> None:
    """Let the engine say things that look like credentials, and one that is."""
    words = ("sk-proj-", "A" * 24, " Bearer ", lab.canaries["api_key"], " password=hunter22")
    async with lab.open(steady(words)) as bench:
        reading = await bench.read()
        is_whole = reading.text == "".join(words)
        lab.expect("RED-05", is_whole, "the model's text unaltered", f"{reading.text!r}", *reading.tokens)


_SIZES = {"1": (1,), "2": (2,), "3": (3,), "7": (7,), "1-5-64": (1, 5, 64), "whole": (65_536,)}
_AS_IT_IS = Scene(
    name="texts",
    how="Words of every kind that breaks decoders: split characters, joined emoji, line ends of all sorts, controls, "
    "JSON and SSE syntax, empty pieces.",
    cases=each(is_given_as_it_is, _TEXTS),
)
_SPLIT = Scene(
    name="split-bytes",
    how="The engine's bytes arrive in pieces of 1, 2, 3, 7 bytes, in odd rhythms, and all at once.",
    cases=joined(
        each(is_whole_however_bytes_arrive, {name: (_SPLIT_WORDS, sizes) for name, sizes in _SIZES.items()}),
        each(is_whole_however_bytes_arrive, {f"odd-{name}": (_ODD_WORDS, (int(name),)) for name in ("1", "2", "3")}),
        each(is_whole_in_one_piece, {"together": _SPLIT_WORDS, "odd-together": _ODD_WORDS}),
    ),
)
_DRAWN = Scene(
    name="drawn-texts",
    how="Words of signs that decoders break on and the sizes of the pieces they arrive in, drawn for each seed.",
    cases=lambda _subject, _spec: (Case("only", is_whole_whatever_it_is, seeds=8),),
)
_PACE = Scene(name="pace", how="One word a step; the time of each is compared.", cases=one(comes_when_it_is_said))
_ENDINGS = {
    **{reason.replace("_", "-"): _Ending(reason) for reason in _REASONS},
    **{f"{reason.replace('_', '-')}-at-once": _Ending(reason, ()) for reason in _REASONS},
}
_COUNTS = {"as-framed": (5, 2), "more-than-frames": (5, 9), "fewer-than-frames": (1, 1)}


def _text(
    check_id: str, title: str, group: Group, scenes: tuple[Scene, ...], *requirements: str, causes: tuple[str, ...] = ()
) -> Check:
    return Check(id=check_id, title=title, group=group, requirements=requirements, scenes=scenes, causes=causes)


CHECKS = (
    _text(
        "FRM-07",
        "the text is the engine's, byte for byte",
        Group.ORDER,
        (_AS_IT_IS, _SPLIT, _DRAWN),
        "HTU-1003b",
        "ADAPT-3001d",
        causes=("bytes decoded chunk by chunk", "lines split as str.splitlines() does", "text that is stripped"),
    ),
    _text(
        "FRM-14",
        "token text is never empty and never half a character",
        Group.ORDER,
        (EVERYDAY, _AS_IT_IS, _SPLIT, _DRAWN),
        "ADAPT-3001b",
        causes=("empty deltas of the engine passed on", "bytes decoded piece by piece"),
    ),
    Check(
        id="FRM-08",
        title="tokens come when the engine says them",
        group=Group.ORDER,
        level=Level.SHOULD,
        requirements=("ADAPT-3001e",),
        scenes=(_PACE,),
        causes=("the body is read to its end first", "a buffer that waits until it is full"),
    ),
    _text(
        "FRM-10",
        "an answer may have no token",
        Group.ORDER,
        (Scene(name="no-token", how="The engine ends at once.", cases=one(may_be_none)),),
        "ADAPT-3010",
        "ADAPT-3010b",
        causes=(
            "`started` is given with the first token",
            "an answer without text is taken for a failure",
        ),
    ),
    _text(
        "FRM-12",
        "keep-alives leave no trace",
        Group.ORDER,
        (
            Scene(
                name="keep-alives",
                how="The engine's signs of life between, before and after words.",
                cases=one(has_signs_of_life_in_between),
            ),
        ),
        "ADAPT-3001d",
        causes=(
            "a comment or an empty event is taken for text",
            "a sign of life becomes an event of its own",
        ),
    ),
    _text(
        "SCH-06",
        "the reason for the end is the engine's",
        Group.SCHEMA,
        (
            Scene(
                name="reasons",
                how="The engine ends for each of its reasons, with text and without, and for one of its own.",
                cases=joined(each(ends_for_the_engines_reason, _ENDINGS), one(ends_for_a_reason_of_its_own, "other")),
            ),
        ),
        "ADAPT-3010h",
        causes=(
            "every end is taken for `stop`",
            "a word that is not in the table is passed on, or lost",
        ),
    ),
    _text(
        "SCH-07",
        "counts and times are true",
        Group.SCHEMA,
        (
            Scene(
                name="counts",
                how="The engine reports counts that differ from the number of frames.",
                cases=each(is_counted_by_the_engine, _COUNTS),
            ),
            Scene(name="decode-time", how="A decode time known to the tick.", cases=one(is_timed)),
            CANCELED_IN_ONE_PIECE,
        ),
        "ADAPT-3010f",
        "ADAPT-3010g",
        causes=("frames counted instead of tokens", "time counted from the submit"),
    ),
    _text(
        "RED-05",
        "the model's text is not redacted",
        Group.REDACTION,
        (
            Scene(
                name="secret-looking-text",
                how="The model says things that look like credentials.",
                cases=one(may_look_like_a_secret),
            ),
        ),
        "HTU-1004e",
        "ADAPT-3001d",
        causes=("the whole frame passes through the redactor",),
    ),
)
