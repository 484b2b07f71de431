"""The specification's rows of engine failures, turned into scripts for engines that speak HTTP.

A new row in a document becomes a new case here without a line of Python, unless it names a new fault of the connection.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from specs import ErrorPhase

from .engines.script import Accept, Answer, Cut, Malformed, Pause, Ping, Reset, Script, Stall, Step, Text
from .subject import Fault
from .times import STEP_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from specs import EngineError, Specification

ANY = "any"
"""The engine whose rows every engine shares."""

DEADLINE_S = 1.0
"""The deadline of the request whose engine goes on past it."""

_OK = 200  # says nothing of a failure
_WORDS_SHOWN = 40  # characters of an engine's message that have to be found again: shorter than any cut
_SPOKEN: tuple[Step, ...] = (Accept(), Text("One"), Pause(STEP_S), Text(" two"), Pause(STEP_S))
_STEADY: tuple[Step, ...] = tuple(step for _ in range(64) for step in (Text(" on"), Pause(STEP_S)))
_COMMENTS: tuple[Step, ...] = tuple(step for _ in range(60) for step in (Ping(), Pause(1.0)))

TRANSPORT: Mapping[str, Sequence[Step]] = {
    "refused": (),
    "closed-before-answer": (Cut(clean=False),),
    "reset-in-stream": (*_SPOKEN, Reset()),
    "cut-in-stream": (*_SPOKEN, Cut(clean=False)),
    "clean-end": (*_SPOKEN, Cut(clean=True)),
    "end-without-token": (Cut(clean=True),),
    "silent-before-answer": (Stall(),),
    "silent-before-token": (Accept(), Stall()),
    "only-comments": (Accept(), *_COMMENTS),
    "silent-between-tokens": (*_SPOKEN, Stall()),
    "past-deadline": (Accept(), *_STEADY),
    "malformed-event": (Accept(), Malformed(b"data: {this is not JSON\n\n"), Stall()),
    "oversized-event": (Accept(), *[Malformed(b"data: " + b"x" * 65_536 + b"\n")] * 64, Stall()),
    "wrong-content-type": (Answer(200, b"<html>Welcome</html>", "text/html"),),
}
"""The document's name for a fault of the connection -> what the engine does."""


def wire_faults(spec: Specification, engine: str) -> Iterator[Fault]:
    """Yield the failures that `engine` and all engines have; an engine without a table has the common ones."""
    own = spec.engine_errors(engine) if engine in spec.engines else ()
    for row in (*own, *spec.engine_errors(ANY)):
        yield fault_of(row)


def fault_of(row: EngineError) -> Fault:
    """Return one row as a fault; KeyError for a fault of the connection that the kit does not know."""
    is_answer = row.phase is ErrorPhase.RESPONSE
    return Fault(
        id=row.id,
        condition=row.condition,
        script=Script(tuple(_steps(row))),
        kind=row.kind,
        retriable=row.retriable,
        blames_request=row.blames_request,
        status=row.status if is_answer and row.status != _OK else None,
        mentions=tuple(_words(row.body)),
        is_down=row.fault == "refused",
        deadline_ms=round(DEADLINE_S * 1000) if row.fault == "past-deadline" else None,
    )


def _steps(row: EngineError) -> Sequence[Step]:
    match row.phase:
        case ErrorPhase.TRANSPORT:
            return TRANSPORT[row.fault]
        case ErrorPhase.RESPONSE:
            return (Answer(row.status, row.body.encode(), row.content_type, tuple(row.headers.items())),)
        case ErrorPhase.STREAM:
            event = f"{row.sse_field}: {row.body}\n\n".encode()
            return (*_SPOKEN, Malformed(event), Cut(clean=True))


def _words(body: str) -> Iterator[str]:
    """Yield the engine's own words in a body, where it has some."""
    try:
        answer = json.loads(body)
    except ValueError:
        return
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    words = error.get("message") if isinstance(error, dict) else error
    if isinstance(words, str):
        yield " ".join(words.split())[:_WORDS_SHOWN]
