"""Reading the streams of the Responses API.

The rule: each event names its own type in its data, and three types end an answer: `response.completed`,
`response.incomplete` (a limit or a filter, which is no failure) and `response.failed`. A body that ends without one of
them was cut, whatever else it said; `[DONE]`, which some servers add, says nothing. Types that are not named here are
signs of life.

Implements: OC-ADAPT-OAI-6007.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import msgspec

from adapter_api import Metrics, Token

from .answers import NO_ERROR, Beginning, ResponseUsage, ending

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from adapter_api import TokenEvent
    from http_util.live import Progress
    from http_util.sse import ServerEvent

    from .answers import Begin, Failure

FAILED = "response.failed"
"""The type that an error of this API is given for the rules of `status.py`, beside its code."""
SPOKEN = frozenset({"response.output_text.delta", "response.refusal.delta"})
THOUGHT = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
_BEGUN = frozenset({"response.created", "response.in_progress", "response.queued"})
_LIMITS = {"max_output_tokens": "length"}


class _Why(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    model: str | None = None
    usage: ResponseUsage | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    incomplete_details: _Why | None = None


class _Event(msgspec.Struct):
    type: str | msgspec.UnsetType = msgspec.UNSET
    delta: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    response: _Response | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Flat(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None


_parse = msgspec.json.Decoder(_Event).decode
_text = msgspec.json.Decoder(str).decode
_flat = msgspec.json.Decoder(_Flat).decode


@final
class ResponseReading:
    """Turn the events of one stream into ours.

    `begin` makes the first events, `failure(body)` the error that an event reports. `is_over` says that the answer
    ended well.
    """

    __slots__ = ("_begin", "_failure", "_has_begun", "_thought_chars", "is_over")

    def __init__(self, begin: Begin, failure: Failure) -> None:
        self._begin = begin
        self._failure = failure
        self._has_begun = False
        self._thought_chars = 0
        self.is_over = False

    def __call__(self, event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
        """Return the events in one frame; raise the `WorkerError` it reports, or `ValueError` if it is no frame."""
        if event.data.strip() == b"[DONE]":
            return ()
        frame = _parse(event.data)
        if (error := _error(frame)) is not None:
            raise self._failure(_failed(error))
        if frame.type is msgspec.UNSET:
            raise ValueError("an event has neither a type nor an error")
        if frame.type == "error":
            raise self._failure(_failed(event.data))
        if frame.type == FAILED:
            raise self._failure(_failed(_error(frame.response or _Response()) or b"{}"))
        return self._events(frame.type, frame, so_far)

    def at_end(self, _so_far: Progress) -> Iterable[TokenEvent]:
        """Return nothing: the end of the body is no end of an answer here."""
        return ()

    def _events(self, kind: str, frame: _Event, so_far: Progress) -> Iterator[TokenEvent]:
        response = frame.response or _Response()
        if kind in _BEGUN:
            yield from self._opening(response)
        elif kind in SPOKEN | THOUGHT and frame.delta is not msgspec.UNSET:
            yield from self._opening(response)
            yield from self._delta(kind, _text(frame.delta), so_far)
        elif kind in {"response.completed", "response.incomplete"}:
            yield from self._opening(response)
            self.is_over = True
            yield from ending(_word(kind, response), response.usage, so_far)

    def _opening(self, response: _Response) -> Iterable[TokenEvent]:
        if self._has_begun:
            return ()
        self._has_begun = True
        return self._begin(Beginning(model=response.model))

    def _delta(self, kind: str, text: str, so_far: Progress) -> Iterator[TokenEvent]:
        if text and kind in SPOKEN:
            yield Token(text, so_far.tokens)
        elif text:
            so_far.begin()
            self._thought_chars += len(text)
            yield Metrics({"reasoning_chars": self._thought_chars})


def _word(kind: str, response: _Response) -> str:
    """Return why an answer ended, in the words of chat completions where there is one."""
    reason = response.incomplete_details.reason if response.incomplete_details is not None else None
    if reason is None:
        return "stop" if kind == "response.completed" else "incomplete"
    return _LIMITS.get(reason, reason)  # vLLM says `completed` and gives a reason why it is not


def _error(told: _Event | _Response) -> bytes | None:
    """Return the value of a field `error` if it reports one."""
    error = b"null" if told.error is msgspec.UNSET else bytes(told.error)
    return None if error in NO_ERROR else error


def _failed(error: bytes) -> bytes:
    """Return an error of this API in the shape that `status.py` reads; `error` is any JSON but nothing."""
    given = _flat(error) if error.startswith(b"{") else _Flat(message=error.decode("utf-8", "replace").strip('"'))
    told = {"type": FAILED, "code": given.code, "message": given.message}
    return msgspec.json.encode({"error": told})
