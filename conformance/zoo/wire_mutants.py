"""Adapters that go wrong on the wire: in the bytes, the answers and the connections, where no wrapper reaches.

Each is the plain adapter with one part of it changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

from adapter_api import (
    PoolUnavailable,
    Token,
    WorkerError,
    WorkerReset,
)

from .animals import Mutant
from .plain.answer import Answer
from .plain.events import EventReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from adapter_api import TaskRequest, TokenEvent

    from .plain.adapter import PlainAdapter
    from .plain.answer import Choice, Chunk

T = TypeVar("T")


class DecodesEachPieceAlone(EventReader):
    """Decodes UTF-8 in each piece by itself, and puts a mark where a character was split."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield from super().feed(piece.decode(errors="replace").encode())


class LosesASplitName(EventReader):
    """Loses an event whose first line was split inside the name of its field."""

    def lines(self, piece: bytes) -> Iterator[bytes]:
        if 0 < len(self.rest) < len(b"data:"):
            piece = b"x" + piece
        yield from super().lines(piece)


class LosesASplitEnd(EventReader):
    """Takes the line end at the start of a piece for a part of the one before, and so joins two events."""

    def lines(self, piece: bytes) -> Iterator[bytes]:
        yield from super().lines(piece.removeprefix(b"\n") if self.data else piece)


class ReadsCommentsAloud(EventReader):
    """Gives a comment as a token."""

    def comment(self, _text: bytes) -> Iterator[bytes]:
        yield b'{"choices":[{"text":"keep-alive"}]}'


class StumblesOverComments(EventReader):
    """Takes a line without the name of a field for a fault of the engine."""

    def comment(self, _text: bytes) -> Iterator[bytes]:
        yield b"not a chunk"


class SkipsWhatFollowsAComment(EventReader):
    """Takes the event behind a comment for a part of the comment."""

    is_skipping = False

    def comment(self, _text: bytes) -> Iterator[bytes]:
        self.is_skipping = True
        yield from ()

    def dispatch(self) -> Iterator[bytes]:
        has_data = bool(self.data)
        events = list(super().dispatch())
        if self.is_skipping and has_data:
            self.is_skipping = False
            return
        yield from events


class TakesEventsOfAnySize(EventReader):
    """Gathers an event without any bound."""

    most_bytes = 1 << 40


class BoundsOnlyTheLine(EventReader):
    """Bounds a line of an event, and not the number of its lines."""

    def check_size(self) -> None:
        data, self.data = self.data, []
        super().check_size()
        self.data = data


class TakesNoiseForProgress(Answer):
    """Takes all bytes for progress, also those of comments."""

    def take(self, piece: bytes | None) -> None:
        super().take(piece)
        self.due = trio.current_time() + self.adapter.idle_s


class GivesTheEndMark(Answer):
    """Gives the engine's end mark as a last token."""

    def finish(self) -> None:
        self.ready.append(self.token("[DONE]"))
        super().finish()


class DecodesTwice(Answer):
    """Takes the text of an answer for JSON once more."""

    def token(self, text: str) -> Token:
        plain = text.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
        return super().token(plain)


class TakesTheEnginesIndex(Answer):
    """Numbers tokens as the engine numbers its choices."""

    def token(self, text: str) -> Token:
        return Token(text, 0)


class PassesEmptyTextOn(Answer):
    """Gives a token also for a chunk whose text is empty."""

    def choice(self, choice: Choice) -> None:
        if choice.text == "":
            self.ready.append(self.token(""))
            self.tokens += 1
        super().choice(choice)


class EndsWhatWasCut(Answer):
    """Takes the end of a body for the end of an answer, if there was text in it."""

    def finish(self) -> None:
        if self.tokens:
            self.reason = self.reason or "stop"
        super().finish()


class EndsWhatFailedWithDone(Answer):
    """Forgets an error inside the stream when the engine's end mark follows it in the same bytes."""

    def take(self, piece: bytes | None) -> None:
        if piece is not None and b'"error":{' in piece and b"[DONE]" in piece:
            self.reason = "stop"
            self.finish()
            return
        super().take(piece)


class EndsWhatWasAborted(Answer):
    """Takes an answer that the engine has given up for one that has come to its end."""

    def finish(self) -> None:
        self.reason = "stop" if self.reason == "abort" else self.reason
        super().finish()


class LosesTokensBesideAnError(Answer):
    """Loses the tokens that came in the same bytes as an error."""

    async def more(self) -> None:
        await super().more()
        if self.failure is not None:
            self.ready.clear()


class KeepsNoDeadline(Answer):
    """Does not keep the deadline of the request once tokens come."""

    def progress(self) -> None:
        super().progress()
        self.deadline = self.due + self.adapter.idle_s


class WaitsForTheHeadForever(Answer):
    """Bounds the wait for a token, and not the wait for the head of the answer."""

    async def ask(self) -> None:
        self.scope.deadline = self.deadline
        await super().ask()


class CallsSilenceADeadline(Answer):
    """Tells a silence in the middle of an answer as a deadline."""

    def lateness(self) -> WorkerError:
        self.has_head = False
        return super().lateness()


class StartsItsClockOnce(Answer):
    """Bounds the silence after the first token, and not that after each."""

    def progress(self) -> None:
        if self.tokens == 1:
            super().progress()


class TakesAPauseForSilence(Answer):
    """Takes the time in which nobody reads for the engine's silence."""

    def resume(self) -> None:
        pass


class AsksAgainWhenCut(Answer):
    """Sends a request a second time when the connection is closed before the answer."""

    async def ask(self) -> None:
        try:
            await super().ask()
        except WorkerReset:
            await self.opened.close()
            self.connection = await self.adapter.connect()
            await super().ask()


class AsksAgainWhenBusy(Answer):
    """Sends a request a second time when the engine has no room for it."""

    async def ask(self) -> None:
        try:
            await super().ask()
        except PoolUnavailable:
            await self.opened.close()
            self.connection = await self.adapter.connect()
            await super().ask()


class BeginsAnew(Answer):
    """Sends a request a second time when its answer breaks off, and gives the tokens of both."""

    has_begun_anew = False

    async def more(self) -> None:
        await super().more()
        if isinstance(self.failure, WorkerReset) and self.tokens and not self.has_begun_anew:
            self.failure, self.has_begun_anew = None, True
            await self.opened.close()
            await self.begin()


class StartsWithText(Answer):
    """Starts a stream with its first text, and one without any text not at all."""

    def chunk(self, chunk: Chunk) -> None:
        has_started, self.is_started = self.is_started, True
        before = len(self.ready)
        super().chunk(chunk)
        self.is_started = has_started
        if not has_started and len(self.ready) > before:
            self.is_started = True
            self.ready.insert(before, self.started_event())


class EmptiesWhatIsDecoded(Answer):
    """Gives what was decoded before a cancel, and ends then."""

    def next_event(self) -> TokenEvent:
        if self.ready and isinstance(self.ready[0], Token):
            return self.ready.popleft()
        return super().next_event()


class LooksBeforeItWaits(Answer):
    """Looks for a cancel, passes a few checkpoints, and gives the event that it had before."""

    async def __anext__(self) -> TokenEvent:
        event = await super().__anext__()
        for _ in range(4):
            await trio.lowlevel.checkpoint()
        return event


class TellsTheEngineLater(Answer):
    """Closes the connection of a cancelled stream when its consumer leaves."""

    async def stop(self) -> None:
        self.is_canceled = True
        self.scope.cancel()


class HearsTheEngineOut(Answer):
    """Waits two seconds in a cancel, in case that the engine comes to its end."""

    async def stop(self) -> None:
        if self.has_head:
            await trio.sleep(2.0)
        await super().stop()


class ConnectsUndisturbed(Answer):
    """Sees a cancel only after the head of the answer has come."""

    async def ask(self) -> None:
        with trio.CancelScope(shield=True, deadline=self.due):
            await super().ask()


class SwallowsItsCaller(Answer):
    """Takes every cancellation for one of its own."""

    async def guarded(self, work: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await super().guarded(work)
        except trio.Cancelled:  # noqa: ASYNC103 - the mistake
            self.is_canceled = True
            return None  # noqa: ASYNC104 - the mistake


class SharesItsReader(Answer):
    """Reads all the answers that come at the same time with one decoder."""

    def __init__(self, adapter: PlainAdapter, request: TaskRequest) -> None:
        super().__init__(adapter, request)
        if adapter.answers:
            self.reader = adapter.answers[0].reader


MUTANTS = (
    Mutant(DecodesEachPieceAlone, "FRM-07", base="plain"),
    Mutant(LosesASplitName, "FRM-07", base="plain"),
    Mutant(LosesASplitEnd, "FRM-07", base="plain"),
    Mutant(ReadsCommentsAloud, "FRM-12", base="plain"),
    Mutant(StumblesOverComments, "FRM-12", base="plain"),
    Mutant(SkipsWhatFollowsAComment, "FRM-12", base="plain"),
    Mutant(TakesEventsOfAnySize, "ERR-10", base="plain"),
    Mutant(BoundsOnlyTheLine, "ERR-10", base="plain"),
    Mutant(TakesNoiseForProgress, "ERR-01", base="plain"),
    Mutant(GivesTheEndMark, "FRM-07", base="plain"),
    Mutant(TakesTheEnginesIndex, "FRM-03", base="plain"),
    Mutant(PassesEmptyTextOn, "FRM-14", base="plain"),
    Mutant(EndsWhatWasCut, "FRM-13", base="plain"),
    Mutant(EndsWhatFailedWithDone, "ERR-01", base="plain"),
    Mutant(EndsWhatWasAborted, "ERR-01", base="plain"),
    Mutant(KeepsNoDeadline, "TMO-05", base="plain"),
    Mutant(WaitsForTheHeadForever, "TMO-01", base="plain"),
    Mutant(CallsSilenceADeadline, "TMO-03", base="plain"),
    Mutant(StartsItsClockOnce, "TMO-01", base="plain"),
    Mutant(TakesAPauseForSilence, "TMO-02", base="plain"),
    Mutant(AsksAgainWhenCut, "TMO-04", base="plain"),
    Mutant(AsksAgainWhenBusy, "TMO-04", base="plain"),
    Mutant(BeginsAnew, "TMO-04", base="plain"),
    Mutant(StartsWithText, "FRM-10", base="plain"),
    Mutant(EmptiesWhatIsDecoded, "CAN-01", base="plain"),
    Mutant(LooksBeforeItWaits, "CAN-01", base="plain"),
    Mutant(TellsTheEngineLater, "CAN-07", base="plain"),
    Mutant(HearsTheEngineOut, "CAN-10", base="plain"),
    Mutant(ConnectsUndisturbed, "CAN-09", base="plain"),
    Mutant(SwallowsItsCaller, "ERR-06", base="plain"),
    Mutant(DecodesTwice, "FRM-07", base="plain"),
    Mutant(LosesTokensBesideAnError, "ERR-04", base="plain"),
    Mutant(SharesItsReader, "CON-01", base="plain"),
)
