"""Responses of a model into events, whichever way they came.

Pure. There is no end marker but the end of the stream itself, so `at_end` decides: a stream without any response has
failed, and so has one without the finish reason that was asked for. Counts are the model's own where it tells them;
each response counts its own tokens.

Implements: ADAPT-3003, ADAPT-3010, OC-ADAPT-5060.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from adapter_api import DeadlineUnmet, End, FinishReason, Token, WorkerReset

from .texts import Delta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from adapter_api import Started, TokenEvent, WorkerError
    from http_util.live import Progress
    from http_util.sse import ServerEvent

    from .responses import Response
    from .texts import Pieces

FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
_NOT_YET = frozenset({"", "None", "not_finished"})
_LOST = frozenset({"cancelled", "canceled", "abort", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a whole answer has: whether a finish reason, and at most how many tokens."""

    finish_reason: bool
    max_tokens: int


@final
class Reading:
    """Turns the responses of one request into events.

    `parse(data)` makes a response of an event, `started(tokens_in)` the first event, `failure(body, is_first)` the
    error that an error object means, which may come in place of the first response. `is_whole` is true once an answer
    has come to a good end.
    """

    __slots__ = (
        "_expected",
        "_failure",
        "_finish",
        "_parse",
        "_pieces",
        "_seen",
        "_started",
        "_tokens_in",
        "_tokens_out",
        "is_whole",
    )

    def __init__(
        self,
        parse: Callable[[bytes], Response],
        started: Callable[[int | None], Started],
        failure: Callable[[bytes, bool], WorkerError],
    ) -> None:
        self._parse = parse
        self._pieces: Pieces = Delta()
        self._expected = Expected(finish_reason=False, max_tokens=0)
        self._started = started
        self._failure = failure
        self._seen = False
        self._finish: str | None = None
        self._tokens_in: int | None = None
        self._tokens_out: int | None = None
        self.is_whole = False

    def expect(self, expected: Expected, pieces: Pieces) -> None:
        """Say, before the first response, what the model was asked for."""
        self._expected = expected
        self._pieces = pieces

    def __call__(self, event: ServerEvent, so_far: Progress) -> Iterator[TokenEvent]:
        """Return the events in one response; raise the `WorkerError` it reports, or `ValueError` if it is none."""
        return self.read(self._parse(event.data), so_far.tokens)

    def read(self, response: Response, index: int) -> Iterator[TokenEvent]:
        """Yield the events in a response, whose text is the token of this index."""
        if response.error is not None:
            raise self._failure(response.error, not self._seen)
        if response.is_bare:
            return
        if not self._seen:
            self._seen = True
            yield self._started(response.tokens_in)
        self._note(response)
        text = "" if response.text is None else self._pieces.take(response.text)
        if text:
            yield Token(text, index)

    def at_end(self, so_far: Progress) -> Iterator[TokenEvent]:
        """Yield what the end of the stream means; raise `WorkerError` if the answer is not whole."""
        return self.end(so_far.tokens, so_far.decode_time_ms)

    def end(self, index: int, decode_time_ms: int) -> Iterator[TokenEvent]:
        """Yield the text that was held back and the end."""
        self._require_whole()
        rest = self._pieces.rest()
        if rest:
            yield Token(rest, index)
        self.is_whole = True
        reason = self._reason()
        yield End(
            tokens_out=index + bool(rest) if self._tokens_out is None else self._tokens_out,
            decode_time_ms=decode_time_ms,
            finish_reason=reason,
            tokens_in=self._tokens_in,
            engine_finish_reason=self._finish if reason is FinishReason.OTHER else None,
        )

    def _note(self, response: Response) -> None:
        if response.tokens_in is not None:
            self._tokens_in = response.tokens_in
        if response.tokens_out is not None:
            self._tokens_out = (self._tokens_out or 0) + response.tokens_out
        if response.finish_reason is not None and response.finish_reason not in _NOT_YET:
            self._finish = response.finish_reason

    def _require_whole(self) -> None:
        if not self._seen:
            raise WorkerReset("completion: the engine's stream ended without an answer")
        if self._finish == "timeout":
            raise DeadlineUnmet("completion: the engine ran out of the request's time", retriable=True)
        if self._finish in _LOST:
            raise WorkerReset("completion: the engine gave the request up")
        if self._finish is None and self._expected.finish_reason:
            raise WorkerReset("completion: the engine's stream ended without its finish reason")

    def _reason(self) -> FinishReason:
        if self._finish is not None:
            return FINISH_REASONS.get(self._finish, FinishReason.OTHER)
        is_full = self._tokens_out is not None and self._tokens_out >= self._expected.max_tokens
        return FinishReason.LENGTH if is_full else FinishReason.STOP
