"""Adapters that say too much, or in the wrong way."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from adapter_api import CorrelationId, Metrics, Started, Token, WorkerError

from .animals import Mutant
from .wrapper import Stream, Wrapper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager

    from adapter_api import TaskId, TaskRequest, TokenEvent

    from .wrapper import Events

log = logging.getLogger("zoo")

_SAMPLE = 16


class LogsEachToken(Stream):
    """Logs each token at the lowest level."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Token):
            log.debug("token %d", event.i)
        return (event,)


class LogsSomeTokens(Stream):
    """Logs each sixteenth token."""

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        if isinstance(event, Token) and event.i % _SAMPLE == _SAMPLE - 1:
            log.info("%d tokens so far", event.i + 1)
        return (event,)


class NamesMetricsByTask(Stream):
    """Has the id of the task in the name of a metric."""

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        yield event
        if isinstance(event, Started):
            yield Metrics({f"queue_depth_of_{self.request.task_id}": 0})


class NamesMetricsByPrompt(Stream):
    """Has the first word of the prompt in the name of a metric."""

    def change(self, event: TokenEvent) -> Iterator[TokenEvent]:
        yield event
        if isinstance(event, Started):
            yield Metrics({f"requests.{self.request.prompt.partition(' ')[0]}": 1})


class DropsTheCorrelationId(Wrapper):
    """Keeps the correlation id to itself."""

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        return super().submit(replace(request, correlation_id=None))


class HasOneCorrelationId(Wrapper):
    """Sends the correlation id of its first request with all of them."""

    first: CorrelationId | None = None

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[Events]:
        self.first = self.first or request.correlation_id
        return super().submit(replace(request, correlation_id=self.first))


class WarnsOfCancels(Wrapper):
    """Logs a cancel as a warning."""

    async def cancel(self, task_id: TaskId) -> None:
        await super().cancel(task_id)
        log.warning("%s was canceled", task_id)


class CriesWhenLeft(Wrapper):
    """Logs a consumer that is cancelled as an error."""

    @asynccontextmanager
    async def stream(self, request: TaskRequest) -> AsyncIterator[Events]:
        try:
            async with super().stream(request) as events:
                yield events
        except trio.Cancelled:
            log.exception("%s failed", request.task_id)
            raise


class LogsWhatItRaises(Stream):
    """Logs a failure in the middle of an answer that it raises as well."""

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if self.tokens:
            log.error("the engine failed")
        raise error


MUTANTS = (
    Mutant(LogsEachToken, "OBS-03"),
    Mutant(LogsSomeTokens, "OBS-03", "llamacpp"),
    Mutant(NamesMetricsByTask, "OBS-03"),
    Mutant(NamesMetricsByPrompt, "OBS-03", "vllm"),
    Mutant(DropsTheCorrelationId, "OBS-05", "llamacpp"),
    Mutant(HasOneCorrelationId, "OBS-05", "triton-grpc"),
    Mutant(WarnsOfCancels, "OBS-06"),
    Mutant(CriesWhenLeft, "OBS-06", "tgi"),
    Mutant(LogsWhatItRaises, "OBS-06"),
)
