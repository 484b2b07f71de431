"""Adapters that go wrong at the edge of the wire: with connections, with refusals and what they quote of them.

Each is the plain adapter with one part of it changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter_api import InternalError, PoolUnavailable, WorkerError, WorkerReset

from .animals import Mutant
from .plain.adapter import PlainAdapter
from .plain.answer import Answer
from .plain.connection import Connection
from .plain.failures import Failures

if TYPE_CHECKING:
    from collections.abc import Mapping

    import trio

    from adapter_api import WorkerHealth

    from .plain.failures import Refusal

_NO_KEY = 401
_LIMITED = 429
_OVERLOADED = 529


class KeepsAFailedConnection(Answer):
    """Closes the connection of an answer unless the answer has failed."""

    async def leave(self) -> None:
        if self.failure is None:
            await super().leave()


class KeepsARefusedConnection(Answer):
    """Closes the connection of an answer, and not that of a refusal."""

    async def leave(self) -> None:
        if self.has_head or self.is_canceled:
            await super().leave()


class KeepsAProbesConnection(PlainAdapter):
    """Keeps the connection of each health probe, in case that it is needed again."""

    async def health(self) -> WorkerHealth:
        self.probe = await self.connect()
        return await super().health()


class LetsAResetOut(Connection):
    """Lets the network's own error out when the connection is reset."""

    async def receive(self) -> bytes:
        return bytes(await self.stream.receive_some(65_536))


class LetsTheParserOut(Connection):
    """Lets the parser's own error out when an answer is cut."""

    def parsed(self) -> object:
        return self.http.next_event()


class QuotesTheNetwork(PlainAdapter):
    """Quotes what the network says when there is no connection."""

    async def dial(self) -> trio.abc.Stream:
        try:
            return await super().dial()
        except OSError as error:
            raise PoolUnavailable(f"connecting: {error}") from None


class NamesItsCause(PlainAdapter):
    """Keeps the network's own words as the cause of an error."""

    async def dial(self) -> trio.abc.Stream:
        try:
            return await super().dial()
        except OSError as error:
            raise PoolUnavailable("connecting: the engine cannot be reached") from error


class OpensItselfAgain(PlainAdapter):
    """Goes on serving after it was closed."""

    async def close(self) -> None:
        await super().close()
        self.is_closed = False


class CallsNobodyLive(PlainAdapter):
    """Calls an engine live that refuses connections."""

    async def health(self) -> WorkerHealth:
        health = await super().health()
        return type(health)(live=True, ready=health.ready, detail=health.detail)


class Misreads529(Failures):
    """Takes the one overload that has a status of its own for an error of the server."""

    def verdict(self, refusal: Refusal) -> tuple[type[WorkerError], bool, bool]:
        return (InternalError, True, False) if refusal.status == _OVERLOADED else super().verdict(refusal)


class BlamesTheCallerForItsKey(Failures):
    """Finds fault with the request where the engine finds fault with our key."""

    def verdict(self, refusal: Refusal) -> tuple[type[WorkerError], bool, bool]:
        kind, retriable, blames = super().verdict(refusal)
        return kind, retriable, blames or refusal.status == _NO_KEY


class TriesAnUnpaidBillAgain(Failures):
    """Takes a used up quota for a limit that will pass, if it is told in the stream."""

    def verdict(self, refusal: Refusal) -> tuple[type[WorkerError], bool, bool]:
        if refusal.in_stream and "insufficient_quota" in refusal.names:
            return PoolUnavailable, True, False
        return super().verdict(refusal)


class IgnoresTheLastWord(Failures):
    """Calls an error retriable of which the engine says that it is not."""

    def error(self, refusal: Refusal) -> WorkerError:
        error = super().error(refusal)
        error.retriable = error.retriable or refusal.headers.get("x-should-retry") == "false"
        return error


class TakesAStreamForAnAnswer(Failures):
    """Takes an error inside a stream for one before it."""

    def by_status(self, refusal: Refusal) -> tuple[type[WorkerError], bool, bool]:
        kind, retriable, blames = super().by_status(refusal)
        return InternalError if kind is WorkerReset else kind, retriable, blames


class HearsAdviceOnlyOfLimits(Failures):
    """Hears when to come back from an engine whose limit is reached, and not from one that is overloaded."""

    def error(self, refusal: Refusal) -> WorkerError:
        error = super().error(refusal)
        error.retry_after_ms = error.retry_after_ms if refusal.status == _LIMITED else None
        return error


class TakesSecondsForMilliseconds(Failures):
    """Takes milliseconds for seconds, where the engine tells its advice in them."""

    def retry_after_ms(self, headers: Mapping[str, str]) -> int | None:
        advice = {**headers, "retry-after": headers.get("retry-after-ms") or headers.get("retry-after", "")}
        return super().retry_after_ms({name: value for name, value in advice.items() if name != "retry-after-ms"})


class CutsBeforeItMasks(Failures):
    """Cuts the engine's words to their length before it masks them."""

    def message(self, refusal: Refusal) -> str:
        words = " ".join(refusal.words.split())[:300]
        return f"asking the engine: HTTP {refusal.status}: {self.context.redact(words)}"


class QuotesWithoutEnd(Failures):
    """Quotes all that the engine says."""

    def message(self, refusal: Refusal) -> str:
        return f"asking the engine: HTTP {refusal.status}: {self.context.redact(refusal.words)}"


class QuotesUnmasked(Failures):
    """Quotes what the engine says in a stream as it stands."""

    def message(self, refusal: Refusal) -> str:
        message = super().message(refusal)
        return f"reading the answer: {refusal.words[:300]}" if refusal.in_stream else message


MUTANTS = (
    Mutant(KeepsAFailedConnection, "LEA-02", base="plain", under="TMO-01"),
    Mutant(KeepsARefusedConnection, "LEA-02", base="plain", under="ERR-03"),
    Mutant(KeepsAProbesConnection, "LEA-02", base="plain"),
    Mutant(LetsAResetOut, "ERR-05", base="plain"),
    Mutant(LetsTheParserOut, "ERR-05", base="plain", under="FRM-13"),
    Mutant(QuotesTheNetwork, "RED-01", base="plain"),
    Mutant(NamesItsCause, "RED-07", base="plain"),
    Mutant(OpensItselfAgain, "LIF-06", base="plain"),
    Mutant(CallsNobodyLive, "HPC-01", base="plain"),
    Mutant(Misreads529, "ERR-01", base="plain"),
    Mutant(BlamesTheCallerForItsKey, "ERR-03", base="plain"),
    Mutant(TriesAnUnpaidBillAgain, "ERR-03", base="plain"),
    Mutant(IgnoresTheLastWord, "ERR-03", base="plain"),
    Mutant(TakesAStreamForAnAnswer, "ERR-01", base="plain"),
    Mutant(HearsAdviceOnlyOfLimits, "ERR-09", base="plain"),
    Mutant(TakesSecondsForMilliseconds, "ERR-09", base="plain"),
    Mutant(QuotesUnmasked, "RED-01", base="plain"),
    Mutant(CutsBeforeItMasks, "RED-02", base="plain"),
    Mutant(QuotesWithoutEnd, "ERR-07", base="plain"),
)
