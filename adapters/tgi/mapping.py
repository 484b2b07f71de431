"""Requests into TGI's words and its native frames into events.

Pure. The engine refuses the values that stand for "off" elsewhere (temperature 0, top_p 1, top_k 0), so those become
what they mean: `do_sample: false`, or no field at all. What it cannot do is refused, never dropped.

A frame is a token, but not always a text: special tokens have a text that is not part of the answer, and a token that
ends inside a character has none yet. The last frame alone has `generated_text`, and `details` because they were asked
for; it carries a token like any other. What `generated_text` holds beyond the tokens (the engine flushes an unfinished
character there) is given as one more text.

Implements: ADAPT-3003, ADAPT-3010, OC-ADAPT-5040a, OC-ADAPT-5040b, OC-ADAPT-5040d, OC-ADAPT-5040e.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final
from zlib import crc32

import msgspec

from adapter_api import End, FinishReason, Token
from http_util.figures import Count
from http_util.openai_api.answers import FINISH_REASONS, NO_ERROR
from http_util.openai_api.bodies import sampling_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from adapter_api import JsonValue, Sampling, Started, TaskRequest, TokenEvent, WorkerError
    from http_util.live import Progress
    from http_util.sse import ServerEvent

SEEDS = 2**64
"""The engine keeps a seed in 64 bits without a sign."""

_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "repeat_penalty": "repetition_penalty",
    "frequency_penalty": "frequency_penalty",
    "stop": "stop",
}


def parameters(request: TaskRequest, seed: int, adapter_id: str | None) -> dict[str, JsonValue]:
    """Return the parameters of `POST /generate_stream`; raise `AdapterError` for what the engine cannot do."""
    sampling = off_where_it_changes_nothing(request.sampling)
    wanted = replace(sampling, temperature=None) if is_greedy(sampling) else sampling
    draws = any(value is not None for value in (wanted.temperature, wanted.top_p, wanted.top_k))
    given: dict[str, JsonValue] = {
        "max_new_tokens": request.max_tokens,
        "details": True,
        "return_full_text": False,
        "seed": engine_seed(seed),
        "do_sample": draws,
        "adapter_id": adapter_id,
        **sampling_fields(wanted, _NAMES),
    }
    return {name: value for name, value in given.items() if value is not None}


def off_where_it_changes_nothing(sampling: Sampling) -> Sampling:
    """Return the same wish without values that mean "off", which the engine refuses.

    Where the likeliest token is wanted each time, a cut of the distribution changes nothing, but one that is left in
    would make the engine draw.
    """
    cuts_nothing = is_greedy(sampling)
    return replace(
        sampling,
        top_p=None if cuts_nothing or sampling.top_p == 1 else sampling.top_p,
        top_k=None if cuts_nothing else sampling.top_k or None,
        min_p=None if cuts_nothing else sampling.min_p or None,
        presence_penalty=sampling.presence_penalty or None,
    )


def engine_seed(seed: int) -> int:
    """Return any integer as a seed that the engine can read; those it can keep are not changed."""
    return seed % SEEDS


def is_greedy(sampling: Sampling) -> bool:
    """Whether the likeliest token is wanted each time, so that cuts of the distribution change nothing."""
    return sampling.temperature == 0


class _Token(msgspec.Struct):
    text: str
    special: bool = False


class _Details(msgspec.Struct):
    finish_reason: str = ""
    generated_tokens: Count | None = None
    input_length: Count | None = None


class _Frame(msgspec.Struct):
    token: _Token | None = None
    generated_text: str | None = None
    details: _Details | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_parse = msgspec.json.Decoder(_Frame).decode


@final
class Reading:
    """Turn the frames of one stream into events; `failure(body)` is the error that an error object means.

    `is_over` tells whether the end marker has come. Of the text that was given it keeps the length and a checksum.
    """

    __slots__ = ("_checksum", "_failure", "_frames", "_given", "_started", "is_over")

    def __init__(self, started: Callable[[], Started], failure: Callable[[bytes], WorkerError]) -> None:
        self._started = started
        self._failure = failure
        self._frames = 0
        self._given = 0
        self._checksum = 0
        self.is_over = False

    def __call__(self, event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
        """Return the events in one frame; raise the `WorkerError` it reports, or `ValueError` if it is no frame."""
        frame = _parse(event.data)
        if frame.error is not msgspec.UNSET and bytes(frame.error) not in NO_ERROR:
            raise self._failure(event.data)
        if frame.token is None:
            raise ValueError("a frame has neither a token nor an error")
        if self._frames and frame.generated_text is None and frame.token.text and not frame.token.special:
            self._frames += 1
            return (self._text(frame.token.text, so_far),)  # nearly every frame
        return self._events(frame, frame.token, so_far)

    def _events(self, frame: _Frame, token: _Token, so_far: Progress) -> Iterator[TokenEvent]:
        self._frames += 1
        if self._frames == 1:
            yield self._started()
        if token.text and not token.special:
            yield self._text(token.text, so_far)
        if frame.generated_text is None:
            return
        if rest := self._rest(frame.generated_text):
            yield self._text(rest, so_far)
        self.is_over = True
        yield self._end(frame.details or _Details(), so_far)

    def _text(self, text: str, so_far: Progress) -> Token:
        self._given += len(text)
        self._checksum = crc32(text.encode(), self._checksum)
        return Token(text, so_far.tokens)

    def _rest(self, whole: str) -> str:
        """Return what the whole text has more than what was given; nothing if it is another text."""
        is_same = crc32(whole[: self._given].encode()) == self._checksum
        return whole[self._given :] if is_same else ""

    def _end(self, details: _Details, so_far: Progress) -> End:
        reason = FINISH_REASONS.get(details.finish_reason, FinishReason.OTHER)
        return End(
            tokens_out=self._frames if details.generated_tokens is None else details.generated_tokens,
            decode_time_ms=so_far.decode_time_ms,
            finish_reason=reason,
            tokens_in=details.input_length,
            engine_finish_reason=details.finish_reason or None if reason is FinishReason.OTHER else None,
        )
