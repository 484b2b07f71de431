"""Showing the frames of one task: as text for a person, or one JSON object a line for a program.

A view takes each event once, in order, and knows how the task ended. Text for a terminal is stripped of control
characters: what a model says may not move the cursor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TextIO

import msgspec

from .daemon import Envelope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from http_util.sse import ServerEvent

_CONTROLS = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class _Started(msgspec.Struct, frozen=True):
    queue_position: int = 0
    predicted_start_ms: int = 0
    seed: int | None = None


class _Metrics(msgspec.Struct, frozen=True):
    queue_position: int | None = None
    predicted_start_ms: int | None = None


class _Token(msgspec.Struct, frozen=True):
    t: str


class Ended(msgspec.Struct, frozen=True):
    """How a stream ended well."""

    tokens_out: int
    decode_time_ms: int = 0
    finish_reason: str = "stop"
    canceled: bool = False

    def in_words(self) -> str:
        """The figures of one task."""
        tokens = f"{self.tokens_out} token{'' if self.tokens_out == 1 else 's'}"
        speed = f", {1000 * self.tokens_out / self.decode_time_ms:.0f} tokens/s" if self.decode_time_ms else ""
        return f"{tokens} in {self.decode_time_ms / 1000:.1f} s{speed}, {self.finish_reason}"


Outcome = Ended | Envelope
"""The terminal frame: `end`, or `error`."""


class View(Protocol):
    """Takes what a stream gives."""

    def show(self, events: Sequence[ServerEvent]) -> Outcome | None:
        """Show the events; returns the terminal frame once it has come.

        Raises `msgspec.MsgspecError` if one is not the protocol, and what writing raises.
        """

    def interrupted(self) -> None:
        """Nothing more comes, although the task did not end."""


class TextView:
    """Tokens to `out` as they come, all else to `err`; `before` goes out ahead of the first token."""

    def __init__(self, out: TextIO, err: TextIO, *, before: str = "") -> None:
        self._out = out
        self._err = err
        self._is_terminal = out.isatty()
        self._queue_line = ""
        self._ends_line = True
        self._before = before

    def show(self, events: Sequence[ServerEvent]) -> Outcome | None:
        outcome: Outcome | None = None
        text = ""
        for event in events:
            if event.name == "token":
                text += msgspec.json.decode(event.data, type=_Token).t
            elif event.name == "started":
                started = msgspec.json.decode(event.data, type=_Started)
                self._tell_place(started.queue_position, started.predicted_start_ms)
            elif event.name == "metrics":
                metrics = msgspec.json.decode(event.data, type=_Metrics)
                self._tell_place(metrics.queue_position, metrics.predicted_start_ms)
            else:
                outcome = terminal_frame(event) or outcome
        self._write(text)
        if outcome is not None:
            self._finish(outcome)
        return outcome

    def interrupted(self) -> None:
        """End the line that is under way: nothing more comes."""
        if not self._ends_line:
            self._out.write("\n")
            self._out.flush()

    def _write(self, text: str) -> None:
        if not text:
            return
        text, self._before = self._before + text, ""
        self._out.write(text.translate(_CONTROLS) if self._is_terminal else text)
        self._out.flush()
        self._ends_line = text.endswith("\n")

    def _tell_place(self, position: int | None, start_ms: int | None) -> None:
        if not position:
            return
        line = f"waiting: position {position} in the queue, about {(start_ms or 0) / 1000:.1f} s\n"
        if line != self._queue_line:
            self._queue_line = line
            self._err.write(line)
            self._err.flush()

    def _finish(self, outcome: Outcome) -> None:
        self.interrupted()
        if isinstance(outcome, Ended):
            self._err.write(f"[{outcome.in_words()}]\n")
            self._err.flush()


class JsonView:
    """Every frame as one line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def show(self, events: Sequence[ServerEvent]) -> Outcome | None:
        outcome: Outcome | None = None
        for event in events:
            frame = {"event": event.name, "id": event.id, "data": msgspec.Raw(event.data)}
            self._out.write(msgspec.json.encode(frame).decode() + "\n")
            outcome = terminal_frame(event) or outcome
        self._out.flush()
        return outcome

    def interrupted(self) -> None:
        """Nothing is under way between lines."""


def terminal_frame(event: ServerEvent) -> Outcome | None:
    """The outcome that an event carries, if it is a terminal one."""
    if event.name == "end":
        return msgspec.json.decode(event.data, type=Ended)
    if event.name == "error":
        return msgspec.json.decode(event.data, type=Envelope)
    return None
