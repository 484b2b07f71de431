"""Adapters that let secrets out: in echoes, headers, addresses, pieces, causes, logs and reprs."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapter_api import PoolUnavailable, Token, WorkerError, WorkerHealth

from .animals import Mutant
from .plain.adapter import PlainAdapter
from .plain.connection import Connection
from .plain.failures import Failures, Refusal
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractAsyncContextManager

    import trio

    from adapter_api import AdapterContext, TaskId, TaskRequest, TokenEvent, WorkerAdapter

    from .plain.adapter import Parts
    from .wrapper import Events, Surroundings

log = logging.getLogger("zoo")

_PIECE = 10  # characters: a secret of thirty is not found in one


class QuotesTheEngine(Failures):
    """Quotes the engine's words as they stand."""

    def message(self, refusal: Refusal) -> str:
        return f"HTTP {refusal.status}: {refusal.words[:200]}"


class QuotesPlainText(Failures):
    """Redacts the message of an engine's error, and not a text that is no JSON."""

    def message(self, refusal: Refusal) -> str:
        return super().message(refusal) if refusal.is_json else f"HTTP {refusal.status}: {refusal.words[:200]}"


class QuotesSenselessAdvice(Failures):
    """Logs the advice to come back that it cannot read."""

    def retry_after_ms(self, headers: Mapping[str, str]) -> int | None:
        advice = super().retry_after_ms(headers)
        if advice is None and "retry-after" in headers:
            log.info("advice that makes no sense: %s", headers["retry-after"])
        return advice


class LogsRefusedAnswers(Failures):
    """Logs the answer to a demand for credentials with its headers, for debugging."""

    def of_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> WorkerError:
        if status == 401:
            log.debug("refused: %s", dict(headers))
        return super().of_answer(status, headers, body)


class TellsWhereItCannotConnect(PlainAdapter):
    """Names the address, as it is in its settings, when it cannot connect."""

    def __init__(self, settings: Mapping[str, object], context: AdapterContext, parts: Parts) -> None:
        super().__init__(settings, context, parts)
        self.url = str(settings["url"])

    async def connect(self) -> Connection:
        try:
            return await super().connect()
        except PoolUnavailable:
            raise PoolUnavailable(f"no connection to {self.url}") from None


class LogsWhereItAsks(PlainAdapter):
    """Logs the address, as it is in its settings, when it asks for health."""

    def __init__(self, settings: Mapping[str, object], context: AdapterContext, parts: Parts) -> None:
        super().__init__(settings, context, parts)
        self.url = str(settings["url"])

    async def health(self) -> WorkerHealth:
        health = await super().health()
        if not health.ready:
            log.info("%s is not ready", self.url)
        return health


class RefusesAQueryAloud(PlainAdapter):
    """Refuses an address with a query, and quotes it."""

    def __init__(self, settings: Mapping[str, object], context: AdapterContext, parts: Parts) -> None:
        url = str(settings["url"])
        if urlsplit(url).query:
            raise ValueError(f"no query in an address, please: {url}")
        super().__init__(settings, context, parts)


class RedactsPieceByPiece(Failures):
    """Redacts a text in pieces of ten characters and joins them."""

    def message(self, refusal: Refusal) -> str:
        words = refusal.words
        pieces = (words[start : start + _PIECE] for start in range(0, len(words), _PIECE))
        return f"HTTP {refusal.status}: {''.join(map(self.context.redact, pieces))[:200]}"


class LogsPieceByPiece(Connection):
    """Logs an answer in the pieces it comes in, for debugging."""

    async def piece(self) -> bytes | None:
        piece = await super().piece()
        if piece is not None and len(piece) < 12:
            log.debug("%s", piece.decode("latin-1"))
        return piece


class ChainsTheNetwork(PlainAdapter):
    """Raises its error of connecting from that of the network."""

    async def dial(self) -> trio.abc.Stream:
        try:
            return await super().dial()
        except OSError as failure:
            raise PoolUnavailable("connecting: the engine cannot be reached") from failure


class HidesTheNetwork(PlainAdapter):
    """Hides the error of the network from tracebacks, and keeps it."""

    async def dial(self) -> trio.abc.Stream:
        try:
            return await super().dial()
        except OSError:
            raise PoolUnavailable("connecting: the engine cannot be reached") from None


class ChainsItsKey(Stream):
    """Raises its errors from one that has the key in its text."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise type(error)(error.message, retriable=error.retriable) from OSError(self.adapter.around.api_key)


class NotesItsKey(Wrapper):
    """Tells in the detail of an engine that is not ready which key it has sent."""

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        return health if health.live else replace(health, detail=f"{health.detail} key={self.around.api_key}")


class QuotesTheAddress(Stream):
    """Tells callers where the engine is."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise type(error)(f"{self.adapter.around.address}: {error.message}", retriable=error.retriable)


class QuotesItsKey(Stream):
    """Has its key in the text of errors that may not be tried again, in base64."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        secret = base64.b64encode(f"user:{self.adapter.around.api_key}".encode()).decode()
        raise error if error.retriable else type(error)(f"{error.message}; sent Authorization: Basic {secret}")


class LogsItsKey(Stream):
    """Logs the URL with its key, percent-encoded, when a request fails."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        key = "".join(f"%{byte:02x}" for byte in self.adapter.around.api_key.encode())
        log.debug("failed: http://engine/completion?key=%s", key)
        raise error


class CutsItsKey(Stream):
    """Cuts a text to length before it is redacted, and leaves half of a key."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        raise type(error)(f"{error.message} {self.adapter.around.api_key[:20]}", retriable=error.retriable)


class ShowsItsKey(Wrapper):
    """Has its key in its repr."""

    def __repr__(self) -> str:
        return f"<Adapter inner={self.inner!r} api_key={self.around.api_key!r}>"


class LogsPrompts(Stream):
    """Logs what it was asked when the engine fails."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        log.info("could not answer: %s", self.request.prompt)
        raise error


class RedactsTheModel(Stream):
    """Redacts what the model says."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Token):
            return (replace(event, t=event.t.replace(self.adapter.around.api_key, "[redacted]")),)
        return (event,)


class RedactsWhatLooksLikeAKey(Stream):
    """Masks a word of the model that begins as keys do."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Token) and event.t.startswith("sk-"):
            return (replace(event, t="[redacted]"),)
        return (event,)


class ShowsThePrompt(Stream):
    """Has what it was asked in the repr of its streams."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request.prompt!r}>"


class LogsCanceledPrompts(Wrapper):
    """Logs what was asked when it is canceled."""

    def __init__(self, inner: WorkerAdapter, around: Surroundings) -> None:
        super().__init__(inner, around)
        self.asked: dict[TaskId, TaskRequest] = {}

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        self.asked[request.task_id] = request
        return super().submit(request)

    async def cancel(self, task_id: TaskId) -> None:
        await super().cancel(task_id)
        if task_id in self.asked:
            log.info("canceled: %.60s", self.asked[task_id].prompt)


class TellsTheAddressOfTheDead(Wrapper):
    """Tells in the health of a dead engine where it was."""

    async def health(self) -> WorkerHealth:
        health = await self.inner.health()
        return health if health.live else replace(health, detail=f"nobody at {self.around.address}")


MUTANTS = (
    Mutant(QuotesItsKey, "RED-01"),
    Mutant(ShowsItsKey, "RED-01"),
    Mutant(LogsItsKey, "RED-01"),
    Mutant(CutsItsKey, "RED-01"),
    Mutant(QuotesTheAddress, "RED-09", "llamacpp"),
    Mutant(RedactsTheModel, "RED-05"),
    Mutant(RedactsWhatLooksLikeAKey, "RED-05", "llamacpp"),
    Mutant(ShowsThePrompt, "RED-08"),
    Mutant(LogsCanceledPrompts, "RED-08", "vllm"),
    Mutant(TellsTheAddressOfTheDead, "RED-09", "tgi"),
    Mutant(LogsPrompts, "RED-08"),
    Mutant(QuotesTheEngine, "RED-02", "plain"),
    Mutant(QuotesPlainText, "RED-02", "plain"),
    Mutant(QuotesSenselessAdvice, "RED-02", "plain"),
    Mutant(LogsRefusedAnswers, "RED-02", "plain"),
    Mutant(TellsWhereItCannotConnect, "RED-03", "plain"),
    Mutant(LogsWhereItAsks, "RED-03", "plain"),
    Mutant(RefusesAQueryAloud, "RED-03", "plain"),
    Mutant(NotesItsKey, "RED-03", "llamacpp"),
    Mutant(RedactsPieceByPiece, "RED-04", "plain"),
    Mutant(LogsPieceByPiece, "RED-04", "plain"),
    Mutant(ChainsItsKey, "RED-07"),
    Mutant(ChainsTheNetwork, "RED-07", "plain"),
    Mutant(HidesTheNetwork, "RED-07", "plain"),
)
