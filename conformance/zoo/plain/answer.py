"""One request and the events of its answer, in the order and within the bounds of the specification."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec
import trio

from adapter_api import (
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    End,
    FinishReason,
    Started,
    Token,
    TokenEvent,
    WorkerError,
    WorkerReset,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter_api import TaskRequest

    from .adapter import PlainAdapter
    from .connection import Connection

T = TypeVar("T")

_OK = 200
_LONGEST_S = 86_400.0
"""The bound on everything for which there is no other."""
_DONE = b"[DONE]"


class Delta(msgspec.Struct):
    """What a chat adds to its answer."""

    content: str | None = None


class Choice(msgspec.Struct):
    """One of the answers; a text has `text`, a chat `delta`."""

    index: int = 0
    text: str | None = None
    delta: Delta | None = None
    finish_reason: str | None = None


class Usage(msgspec.Struct):
    """The engine's counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Chunk(msgspec.Struct):
    """One event of the stream."""

    choices: list[Choice] = []
    usage: Usage | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


class Answer:
    """The stream of one request; its methods run in the consumer's task, `stop` in any other."""

    def __init__(self, adapter: PlainAdapter, request: TaskRequest) -> None:
        self.adapter = adapter
        self.request = request
        self.connection: Connection | None = None
        self.reader = adapter.parts.reader()
        self.ready: deque[TokenEvent] = deque()
        self.failure: WorkerError | None = None
        self.scope = trio.CancelScope()
        self.is_canceled = self.is_started = self.is_done = self.is_over = self.has_head = False
        self.version = ""
        self.tokens = self.given = 0
        self.usage = Usage()
        self.reason = ""
        self.first_token_at: float | None = None
        now = trio.current_time()
        self.deadline = now + (request.deadline_ms / 1000 if request.deadline_ms else _LONGEST_S)
        self.due = now + _LONGEST_S
        self.left_at = now

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TokenEvent:
        self.resume()
        await trio.lowlevel.checkpoint()
        while not (self.ready or self.failure or self.is_canceled or self.is_over):
            await self.more()
        self.left_at = trio.current_time()
        return self.next_event()

    def next_event(self) -> TokenEvent:
        """Return what is to be given now; nothing comes between the look at `is_canceled` and the event's giving."""
        if self.is_over:
            raise StopAsyncIteration
        if self.is_canceled:
            return self.canceled_event()
        if self.ready:
            event = self.ready.popleft()
            self.is_over = isinstance(event, End)
            self.given += isinstance(event, Token)
            return event
        self.is_over = True
        raise self.failure or StopAsyncIteration

    def canceled_event(self) -> TokenEvent:
        """Return `started` if it was not given yet, else the end."""
        self.is_over = self.is_started and not any(isinstance(event, Started) for event in self.ready)
        self.ready.clear()
        if not self.is_over:
            self.is_started = True
            return self.started_event()
        self.tokens = self.given
        return self.end_event(FinishReason.CANCELED, is_canceled=True)

    async def begin(self) -> None:
        """Send the request and wait for the head of the answer; returns at once when it is stopped."""
        self.version = await self.guarded(self.adapter.model) or ""
        self.connection = await self.guarded(self.adapter.connect)
        if self.connection is not None:
            self.due = trio.current_time() + self.adapter.first_token_s
            await self.guarded(self.ask)
        self.left_at = trio.current_time()

    async def ask(self) -> None:
        """Send the request, and raise what a refusal means."""
        connection = self.opened
        path, body = self.adapter.body(self.request, self.version)
        await connection.send("POST", path, self.adapter.headers(self.request), msgspec.json.encode(body))
        head = await connection.head()
        self.has_head = True
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        if head.status_code != _OK:
            raise self.adapter.failures.of_answer(head.status_code, headers, await connection.whole())
        if not headers.get("content-type", "").startswith("text/event-stream"):
            raise AdapterError("waiting for the answer: it is not a stream of events")

    @property
    def opened(self) -> Connection:
        """The connection, once there is one."""
        if self.connection is None:
            raise RuntimeError("there is no connection yet")
        return self.connection

    async def more(self) -> None:
        """Take the next piece of the body; what it leads to is kept."""
        try:
            piece = await self.guarded(self.opened.piece)
            if not self.is_canceled:
                self.take(piece)
        except WorkerError as failure:
            self.failure = failure

    def take(self, piece: bytes | None) -> None:
        """Take bytes of the body, or its end."""
        for data in self.reader.feed(piece or b""):
            if not self.is_done:
                self.data(data)
            self.progress()
        if piece is None and not self.is_done:
            self.finish()

    def data(self, data: bytes) -> None:
        """Take one event."""
        if data == _DONE:
            self.finish()
        else:
            self.chunk(read_chunk(data))

    def chunk(self, chunk: Chunk) -> None:
        """Take one chunk."""
        if bytes(chunk.error) != b"null":
            raise self.adapter.failures.in_stream(chunk.error)
        self.usage = chunk.usage or self.usage
        self.version = chunk.system_fingerprint or chunk.model or self.version
        if not self.is_started:
            self.is_started = True
            self.ready.append(self.started_event())
        for choice in chunk.choices:
            if choice.index == 0:
                self.choice(choice)

    def choice(self, choice: Choice) -> None:
        """Take what one chunk says of the first answer."""
        text = choice.text or (choice.delta.content if choice.delta else None)
        if text:
            if self.first_token_at is None:
                self.first_token_at = trio.current_time()
            self.ready.append(self.token(text))
            self.tokens += 1
        self.reason = choice.finish_reason or self.reason

    def token(self, text: str) -> Token:
        """Return the next token."""
        return Token(text, self.tokens)

    def finish(self) -> None:
        """End the stream: well, if the engine has said why."""
        if not self.reason or self.reason == "abort":
            raise WorkerReset("reading the answer: it ended without a reason to finish")
        known = {reason.value for reason in FinishReason} - {"canceled"}
        self.is_done = True
        self.ready.append(self.end_event(FinishReason(self.reason) if self.reason in known else FinishReason.OTHER))

    def started_event(self) -> Started:
        """Return the first event."""
        return Started(
            engine_version=self.version or None,
            seed=self.request.seed,
            sampler_profile_version=self.request.sampler_profile_version,
        )

    def end_event(self, reason: FinishReason, *, is_canceled: bool = False) -> End:
        """Return the last event."""
        counted, now = self.usage.completion_tokens, trio.current_time()
        first_at = now if self.first_token_at is None else self.first_token_at
        return End(
            tokens_out=self.tokens if counted is None else counted,
            tokens_in=self.usage.prompt_tokens,
            decode_time_ms=round(1000 * (now - first_at)),
            finish_reason=reason,
            engine_finish_reason=self.reason if reason is FinishReason.OTHER else None,
            canceled=is_canceled,
        )

    def resume(self) -> None:
        """Begin to wait: the time that the consumer took is not the engine's."""
        self.due += trio.current_time() - self.left_at

    def progress(self) -> None:
        """Note that the engine has said something; before the first token that changes nothing."""
        if self.tokens:
            self.due = trio.current_time() + self.adapter.idle_s

    async def guarded(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Do this within the bounds that hold now; None if the stream was stopped first."""
        if self.is_canceled:
            return None
        with trio.CancelScope(deadline=min(self.due, self.deadline)) as self.scope:
            try:
                return await work()
            except trio.ClosedResourceError:
                pass  # by `stop`, or with the adapter
        if self.is_canceled:
            return None
        raise self.lateness() if self.scope.cancelled_caught else WorkerReset("reading the answer: it was closed here")

    def lateness(self) -> WorkerError:
        """Return the error that a bound has passed."""
        if trio.current_time() >= self.deadline:
            return DeadlineUnmet("the deadline of the request has passed", retriable=False)
        if not self.has_head:
            return DeadlineUnmet("waiting for the answer: the engine is silent", retriable=True)
        return DecodeTimeout("reading the answer: the engine is silent")

    async def stop(self) -> None:
        """End this stream as canceled and tell the engine by closing its connection."""
        self.is_canceled = True
        self.scope.cancel()
        await self.leave()

    async def leave(self) -> None:
        """Close the connection."""
        if self.connection is not None:
            await self.connection.close()


def read_chunk(data: bytes) -> Chunk:
    """Return one event's data as a chunk; `AdapterError` where it is none."""
    try:
        return msgspec.json.decode(data, type=Chunk)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # raised below, so that the error has no cause that quotes the engine
    raise AdapterError("reading the answer: an event is not the JSON of a chunk")
