"""One request on the mock engine: its steps played as events.

The consumer drives: every call of `__anext__` plays steps until one of them is an event. The pace is the engine's, kept
as a due time, so a slow reader does not slow the engine. Ending from outside (`cancel`, `reset`) is a synchronous seal
that frees the slot and wakes a waiting reader; after it only the terminal event is left to say.

Implements: ADAPT-3010, ADAPT-3101, AH-1004, ORCH-3058.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self, final

import trio

from adapter_api import (
    ERROR_KINDS,
    DeadlineUnmet,
    DecodeTimeout,
    End,
    Failed,
    FinishReason,
    Metrics,
    Started,
    Token,
    TokenEvent,
    WorkerError,
    WorkerReset,
)

from . import settings as step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from adapter_api import JsonValue

    from .engine import MockEngine

Outcome = End | WorkerError


@final
class MockRun:
    """The stream of one request."""

    def __init__(  # one argument per thing that the engine, the request and the settings decide
        self,
        engine: MockEngine,
        steps: Iterable[step.Step],
        *,
        started: Started,
        result: JsonValue,
        redact: Callable[[str], str],
        first_token_s: float,
        idle_s: float,
        deadline_s: float,
    ) -> None:
        self._engine = engine
        self._steps = iter(steps)
        self._started = started
        self._result = result
        self._redact = redact
        self._silence_s = first_token_s
        self._idle_s = idle_s
        self._deadline_s = deadline_s
        self._has_slot = False
        self._has_started = False
        self._tokens = 0
        self._engine_time = self._first_token_at = self._heard_at = self._left_at = trio.current_time()
        self._step: step.Step | None = None
        self._waiting = trio.CancelScope()
        self._outcome: Outcome | None = None
        self._is_done = False
        self._is_read = False

    def __repr__(self) -> str:
        return f"<MockRun tokens={self._tokens} done={self._is_done}>"

    @property
    def is_live(self) -> bool:
        """Whether the engine still works on it, or keeps it in line."""
        return not self._is_done and self._outcome is None

    def cancel(self) -> bool:
        """Let nothing but `End(canceled=True)` follow; False if it had ended already."""
        if not self.is_live:
            return False
        self._seal(self._end(FinishReason.CANCELED, canceled=True))
        return True

    def reset(self, why: str) -> None:
        """Fail the stream as a lost connection does, unless it has ended."""
        if self.is_live:
            self._seal(WorkerReset(f"stream: {why}"))

    def leave(self) -> None:
        """Take note that the reader has gone; nothing follows."""
        self._is_done = True
        self._free()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> TokenEvent:
        """Play on to the next event; Cancelled leaves the run where it was."""
        if self._is_done:
            raise StopAsyncIteration
        if self._is_read:
            raise trio.BusyResourceError("another task is already reading this stream")
        self._heard_at += trio.current_time() - self._left_at  # the reader's own time is not the engine's silence
        event = None
        self._is_read = True
        try:
            while event is None and self._outcome is None:
                event = await self._play_bounded()
        finally:
            self._is_read = False
        self._left_at = trio.current_time()
        if self._outcome is None and event is not None:
            return self._note(event)
        return self._last_word()

    async def _play_bounded(self) -> TokenEvent | None:
        """Play one step; a seal from outside or too long a silence cuts it short."""
        ends_at_s = min(self._heard_at + self._silence_s, self._deadline_s)
        with trio.CancelScope(deadline=ends_at_s) as self._waiting:
            if not self._has_slot:
                await self._enter()
            self._step = self._step or next(self._steps, step.Reset())
            event = await self._play(self._step)
            self._step = None
            return event
        if self._outcome is None:
            self._seal(self._timeout())
        return None

    def _timeout(self) -> WorkerError:
        if trio.current_time() >= self._deadline_s:
            return DeadlineUnmet("stream: the request's deadline has passed")
        why = f"stream: no token for {self._silence_s:g} s"
        return DecodeTimeout(why) if self._has_started else DeadlineUnmet(why, retriable=True)

    async def _enter(self) -> None:
        await self._engine.take_slot()
        if self._outcome is not None:  # sealed after the slot was handed over and before this task ran
            self._engine.free_slot()
            return
        self._has_slot = True
        self._engine_time = trio.current_time()

    async def _play(self, step_now: step.Step) -> TokenEvent | None:
        match step_now:
            case step.Pause(ms=ms):
                await trio.sleep_until(self._engine_time + ms / 1000)
                self._engine_time += ms / 1000
            case step.Stall():
                await trio.sleep_forever()
            case _:
                await trio.lowlevel.checkpoint()
                return self._to_event(step_now)
        return None

    def _to_event(self, step_now: step.Step) -> TokenEvent | None:
        match step_now:
            case step.Started():
                return self._started
            case step.Token(text=text) if text:
                return Token(text, self._tokens)
            case step.Metrics(values=values):
                return Metrics(values)
            case step.Error(as_event=True):
                return Failed(self._to_error(step_now))
            case step.Error():
                self._seal(self._to_error(step_now))
            case step.Reset():
                self._seal(WorkerReset("stream: the engine closed it without an end marker"))
            case step.End(reason=reason):
                return self._end(reason, tokens_out=step_now.tokens_out, tokens_in=step_now.tokens_in)
            case _:
                pass
        return None

    def _note(self, event: TokenEvent) -> TokenEvent:
        """Keep count of what the reader is given."""
        match event:
            case Started():
                self._has_started = True
            case Token():
                self._note_token()
            case End() | Failed():
                self.leave()
            case Metrics():
                pass
        return event

    def _note_token(self) -> None:
        self._heard_at = trio.current_time()
        self._first_token_at = self._first_token_at if self._tokens else self._heard_at
        self._silence_s = self._idle_s
        self._tokens += 1

    def _last_word(self) -> TokenEvent:
        outcome = self._outcome
        if isinstance(outcome, WorkerError):
            self._is_done = True
            raise outcome
        if not self._has_started:  # canceled in line: `end` may not come first
            self._has_started = True
            return self._started
        self._is_done = True
        assert outcome is not None
        return outcome

    def _seal(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._free()
        self._waiting.cancel()

    def _free(self) -> None:
        if self._has_slot:
            self._has_slot = False
            self._engine.free_slot()

    def _end(
        self,
        reason: FinishReason,
        *,
        tokens_out: int | None = None,
        tokens_in: int | None = None,
        canceled: bool = False,
    ) -> End:
        decode_s = trio.current_time() - self._first_token_at if self._tokens else 0.0
        return End(
            tokens_out=self._tokens if tokens_out is None else tokens_out,
            tokens_in=self._started.tokens_in if tokens_in is None else tokens_in,
            decode_time_ms=round(decode_s * 1000),
            finish_reason=reason,
            canceled=canceled,
            result=None if canceled else self._result,
        )

    def _to_error(self, failure: step.Error) -> WorkerError:
        return ERROR_KINDS[failure.kind](
            self._redact(failure.message),
            retriable=failure.retriable,
            retry_after_ms=failure.retry_after_ms,
            blames_request=failure.blames_request,
        )
