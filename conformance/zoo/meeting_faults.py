"""Adapters that lose or double what meets a bound at its very end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from adapter_api import DeadlineUnmet, DecodeTimeout, End, FinishReason, Token, WorkerError

from .animals import Mutant
from .wrapper import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter_api import TaskRequest, TokenEvent

    from .wrapper import Events, Wrapper

_TICK_S = 2.0**-10


class LosesTheWordAtItsBound(Stream):
    """Loses a word that comes a tick before the end of the idle bound, as a cancelled read that had its bytes does."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self._heard_at = trio.current_time()
        self._lost = 0

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        waited_s, self._heard_at = trio.current_time() - self._heard_at, trio.current_time()
        if isinstance(event, Token):
            idle_s = self.adapter.around.idle_s
            if self.tokens and idle_s is not None and waited_s >= idle_s - _TICK_S:
                self._lost += 1
                return ()
            return (Token(event.t, event.i - self._lost),)
        return (event,)


class LosesTheEndAtItsDeadline(Stream):
    """Stops without an end where the end comes a tick before the deadline."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self._began_at = trio.current_time()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        limit_s = (self.request.deadline_ms or 0) / 1000
        if isinstance(event, End) and limit_s and trio.current_time() - self._began_at >= limit_s - _TICK_S:
            return ()
        return (event,)


class TurnsTheDeadlineIntoAnEnd(Stream):
    """Gives the end that it expects next where the deadline passes behind a word of the same instant."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self._heard_at = -1.0

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        self._heard_at = trio.current_time()
        return (event,)

    def fail(self, error: WorkerError) -> Iterable[TokenEvent]:
        if isinstance(error, DeadlineUnmet) and trio.current_time() - self._heard_at <= _TICK_S:
            return (End(tokens_out=self.tokens, decode_time_ms=0, finish_reason=FinishReason.LENGTH),)
        return super().fail(error)


class TakesALateWordForSilence(Stream):
    """Looks at the idle bound again when a word is there already, a tick too strictly."""

    def __init__(self, inner: Events, adapter: Wrapper, request: TaskRequest) -> None:
        super().__init__(inner, adapter, request)
        self._heard_at = trio.current_time()

    def change(self, event: TokenEvent) -> Iterable[TokenEvent]:
        waited_s, self._heard_at = trio.current_time() - self._heard_at, trio.current_time()
        idle_s = self.adapter.around.idle_s
        if isinstance(event, Token) and self.tokens and idle_s is not None and waited_s >= idle_s - _TICK_S:
            raise DecodeTimeout("completion: silence")
        return (event,)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(LosesTheWordAtItsBound, "TMO-10", base="llamacpp"),
    Mutant(LosesTheEndAtItsDeadline, "TMO-10", base="llamacpp"),
    Mutant(TurnsTheDeadlineIntoAnEnd, "TMO-10"),
    Mutant(TakesALateWordForSilence, "TMO-10", base="vllm"),
)
"""Adapters that lose or double what meets a bound at its very end."""
