"""A script in words, short enough for a line of a report."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from .engines.script import (
    Accept,
    Answer,
    Cut,
    CutAfter,
    Die,
    Fail,
    Finish,
    Loading,
    Malformed,
    Overload,
    Pause,
    Ping,
    Reset,
    SplitBytesAt,
    Stall,
    Text,
    Together,
    Usage,
)

if TYPE_CHECKING:
    from .engines.script import Script, Step

_SHOWN_STEPS = 16
_SHOWN_TEXT = 40


def script_text(script: Script) -> str:
    """Return what the engine does, step by step."""
    words = [_repeated(word, len(list(same))) for word, same in groupby(map(_step_text, script.steps))]
    shown = ", ".join(words[:_SHOWN_STEPS]) or "makes up a text"
    more = f", and {len(words) - _SHOWN_STEPS} more" if len(words) > _SHOWN_STEPS else ""
    loads = f"loads for {script.loading_s:g} s, " if script.loading_s else ""
    return f"the engine {loads}{shown}{more}"


def _step_text(step: Step) -> str:
    match step:
        case Accept():
            return "accepts"
        case Ping():
            return "gives a sign of life"
        case Usage(tokens_in, tokens_out):
            return f"counts {tokens_in} tokens in and {tokens_out} out"
        case SplitBytesAt(sizes):
            return f"sends its bytes in pieces of {', '.join(map(str, sizes))} from here on"
        case CutAfter(size):
            return f"closes the connection after {size} more bytes"
        case Together():
            return "keeps what it writes until it pauses from here on"
        case Pause(seconds):
            return f"waits {seconds:g} s"
        case Text(text):
            return f"says {_short(text)!r}"
        case Finish(reason):
            return f"ends ({reason})"
        case Stall():
            return "falls silent"
        case Reset():
            return "resets the connection"
        case Die(down_s):
            return f"dies and is back after {down_s:g} s"
        case Overload():
            return "has no room"
        case Loading(seconds):
            return f"loads its model again for {seconds:g} s"
        case Cut(clean):
            return "ends the body without its end marker" if clean else "closes the connection in the middle"
        case Fail(status, _, message, in_stream):
            return f"fails {'in the stream' if in_stream else f'with {status}'}: {_short(message)!r}"
        case Answer(status, body):
            return f"answers {status}: {_short(body.decode('utf-8', 'replace'))!r}"
        case Malformed(raw):
            return f"sends {_short(raw.decode('utf-8', 'replace'))!r}"
        case _:
            return repr(step)


def _repeated(word: str, times: int) -> str:
    return word if times == 1 else f"{word} ({times} times)"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}..."
