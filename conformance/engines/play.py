"""Play a script on one exchange: the neutral steps here, the engine's own bytes through `Stage`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, assert_never

import trio

from .script import (
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
    from .http1 import Headers
    from .script import Script, Step

_INTO_THE_BODY = Text | Ping | Malformed | Finish
_LAST_WORDS = Loading | Stall | Fail | Answer | Overload | Cut | Reset | Die | Finish


class Wire(Protocol):
    """What a script writes to itself, whatever protocol is underneath; see `http1.Exchange`."""

    def split_at(self, sizes: tuple[int, ...]) -> None:
        """From here on write in pieces of these sizes, over and over."""

    def cut_after(self, size: int) -> None:
        """Close the connection when so many more bytes were written, and write nothing more."""

    def hold(self) -> None:
        """From here on write nothing before `release`."""

    async def release(self) -> None:
        """Write what is held, in one piece."""

    async def start(self, status: int, content_type: str, headers: Headers = ()) -> None:
        """Send the head of an answer."""

    async def send(self, data: bytes) -> None:
        """Send bytes of the body."""

    async def answer(self, status: int, body: bytes, content_type: str, headers: Headers = ()) -> None:
        """Send a complete answer."""

    async def end(self, *, closes: bool = False) -> None:
        """End the body as the protocol wants it."""

    async def cut(self) -> None:
        """Close the connection in the middle of the answer."""

    def reset(self) -> None:
        """Reset the connection."""


class Stage(Protocol):
    """How one engine does each step for one request."""

    async def accept(self) -> None:
        """Send the head of the answer."""

    async def text(self, step: Text) -> None:
        """Send a piece of text."""

    async def ping(self) -> None:
        """Send a sign of life."""

    async def fail(self, step: Fail) -> None:
        """Report an error, on the status line or in the stream, and end the answer."""

    async def overload(self) -> None:
        """Do what the engine does when it has no room."""

    async def load_model(self, seconds: float) -> None:
        """Load the model from now on, and answer accordingly."""

    def die(self, step: Die) -> None:
        """End the engine's process."""

    def count(self, usage: Usage) -> None:
        """Report these counts in place of the true ones."""

    async def finish(self, reason: str) -> None:
        """Send the end marker and end the answer."""

    async def make_up(self) -> None:
        """Answer with text of the double's own."""


async def play(script: Script, stage: Stage, exchange: Wire) -> None:
    """Play `script` to its last word. Cancelled: the answer stays where it is."""
    if not script.steps:
        await stage.make_up()
        return
    for step in _with_accept(script.steps):
        if isinstance(step, Pause | Stall):
            await exchange.release()
        await _do(step, stage, exchange)
        if isinstance(step, _LAST_WORDS):
            await exchange.release()
            return


def _with_accept(steps: tuple[Step, ...]) -> list[Step]:
    """Return the steps with the acceptance and the last word that the script leaves unsaid."""
    complete = list(steps)
    if not any(isinstance(step, _LAST_WORDS) for step in steps):
        complete.append(Finish())
    into_body = [n for n, step in enumerate(complete) if _needs_body(step)]
    if into_body and not any(isinstance(step, Accept) for step in steps):
        complete.insert(into_body[0], Accept())
    return complete


def _needs_body(step: Step) -> bool:
    return isinstance(step, _INTO_THE_BODY) or step == Cut(clean=True) or (isinstance(step, Fail) and step.in_stream)


async def _do(step: Step, stage: Stage, exchange: Wire) -> None:
    match step:
        case Pause(seconds):
            await trio.sleep(seconds)
        case Stall():
            await trio.sleep_forever()
        case SplitBytesAt(sizes):
            exchange.split_at(sizes)
        case CutAfter(size):
            exchange.cut_after(size)
        case Together():
            exchange.hold()
        case Malformed(raw):
            await exchange.send(raw)
        case Answer(status, body, content_type, headers):
            await exchange.answer(status, body, content_type, headers)
        case Cut(clean):
            await (exchange.end(closes=True) if clean else exchange.cut())
        case Reset():
            exchange.reset()
        case _:
            await _do_on_stage(step, stage)


async def _do_on_stage(
    step: Loading | Accept | Text | Ping | Fail | Overload | Die | Usage | Finish, stage: Stage
) -> None:
    match step:
        case Loading(seconds):
            await stage.load_model(seconds)
        case Accept():
            await stage.accept()
        case Text():
            await stage.text(step)
        case Ping():
            await stage.ping()
        case Fail():
            await stage.fail(step)
        case Overload():
            await stage.overload()
        case Die():
            stage.die(step)
        case Usage():
            stage.count(step)
        case Finish(reason):
            await stage.finish(reason)
        case _:
            assert_never(step)
