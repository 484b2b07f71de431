"""Mutants whose author did not look at the checks first: mistakes as they are made, not as they are looked for.

Every other mutant was made for a check, and so proves only what the check's author had thought of. How many of these
were caught at the first try is an estimate of how many mistakes nobody has thought of would be;
`docs/reference/kill-matrix.md` has the figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from adapter_api import WorkerHealth

from .animals import Mutant
from .plain.adapter import PlainAdapter
from .plain.answer import Answer, Choice
from .plain.events import EventReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter_api import JsonValue, TaskId, TaskRequest, Token, TokenEvent


class CancelsByPrefix(PlainAdapter):
    """Cancels every stream whose id begins like the one that is asked for."""

    async def cancel(self, task_id: TaskId) -> None:
        for answer in tuple(self.answers):
            if answer.request.task_id.startswith(task_id):
                await answer.stop()


class TakesSeedZeroForNone(PlainAdapter):
    """Sends no seed where the seed is 0."""

    def body(self, request: TaskRequest, model: str) -> tuple[str, dict[str, JsonValue]]:
        path, body = super().body(request, model)
        return path, {name: value for name, value in body.items() if name != "seed" or value}


class TakesColdForUnset(PlainAdapter):
    """Leaves the temperature to the engine where it is 0."""

    def body(self, request: TaskRequest, model: str) -> tuple[str, dict[str, JsonValue]]:
        path, body = super().body(request, model)
        return path, {name: value for name, value in body.items() if name != "temperature" or value}


class AllowsTwice(Answer):
    """Gives the first token an allowance of its own once the head of the answer is there."""

    async def ask(self) -> None:
        await super().ask()
        self.due = trio.current_time() + self.adapter.first_token_s


class CountsFromTheHead(Answer):
    """Counts the deadline of the request from the head of the answer."""

    async def ask(self) -> None:
        asked_at = trio.current_time()
        await super().ask()
        self.deadline += trio.current_time() - asked_at


class SplitsLikePython(EventReader):
    """Ends a line wherever Python's `splitlines` does."""

    def lines(self, piece: bytes) -> Iterator[bytes]:
        for line in super().lines(piece):
            text = line.decode(errors="replace")
            yield from (each.encode() for each in text.splitlines()) if text else (b"",)


class NumbersTheChunks(Answer):
    """Numbers the chunks of an answer, also those without text."""

    chunks = 0

    def choice(self, choice: Choice) -> None:
        super().choice(choice)
        self.chunks += 1

    def token(self, text: str) -> Token:
        return type(super().token(text))(text, self.chunks)


class DrainsWhatItLeaves(Answer):
    """Reads an answer to its end before it leaves it, so that the connection could be used again."""

    async def leave(self) -> None:
        if self.connection is not None and self.has_head and not self.is_canceled:
            with trio.move_on_after(5.0, shield=True):
                while await self.connection.piece() is not None:
                    pass
        await super().leave()


class StopsAtTheReason(Answer):
    """Ends a stream at the reason to finish, and so before the counts that follow it."""

    def choice(self, choice: Choice) -> None:
        super().choice(choice)
        if self.reason and not self.is_done:
            self.finish()


class RemembersThatAllWasWell(PlainAdapter):
    """Takes a good report of health for good for ten seconds."""

    good_until = 0.0

    async def health(self) -> WorkerHealth:
        now = trio.current_time()
        if now < self.good_until:
            return WorkerHealth(live=True, ready=True)
        health = await super().health()
        self.good_until = now + 10.0 if health.ready else 0.0
        return health


class CountsWhatNobodyGot(Answer):
    """Counts in the end of a canceled stream also the tokens that were not given."""

    def canceled_event(self) -> TokenEvent:
        self.given = self.tokens
        return super().canceled_event()


class ClosesOnlyUnderAReader(Answer):
    """Closes the connection at a cancel only while somebody waits for the next event."""

    is_waiting = False

    async def more(self) -> None:
        self.is_waiting = True
        await super().more()
        self.is_waiting = False

    async def stop(self) -> None:
        self.is_canceled = True
        self.scope.cancel()
        if self.is_waiting:
            await self.leave()


MUTANTS = (
    Mutant(TakesSeedZeroForNone, "DET-02", base="plain"),
    Mutant(TakesColdForUnset, "DET-02", base="plain"),
    Mutant(SplitsLikePython, "FRM-07", base="plain"),
    Mutant(NumbersTheChunks, "FRM-03", base="plain", under="FRM-07"),
    Mutant(DrainsWhatItLeaves, "CAN-09", base="plain"),
    Mutant(StopsAtTheReason, "SCH-07", base="plain"),
    Mutant(RemembersThatAllWasWell, "HPC-01", base="plain"),
    Mutant(ClosesOnlyUnderAReader, "CAN-07", base="plain"),
    Mutant(CancelsByPrefix, "CAN-08", base="plain"),
    Mutant(AllowsTwice, "TMO-01", base="plain"),
    Mutant(CountsFromTheHead, "TMO-05", base="plain"),
    Mutant(CountsWhatNobodyGot, "SCH-07", base="plain"),
)

CAUGHT_AT_ONCE = frozenset({
    SplitsLikePython,
    NumbersTheChunks,
    DrainsWhatItLeaves,
    StopsAtTheReason,
    RemembersThatAllWasWell,
    ClosesOnlyUnderAReader,
})
"""Those that some check caught when they were hunted for the first time, before any was made sharper for them."""
