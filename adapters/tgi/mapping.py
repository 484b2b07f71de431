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

from typing import TYPE_CHECKING, final

import msgspec

from adapter_api import AdapterError, End, FinishReason, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from adapter_api import JsonValue, Sampling, Started, TaskRequest, TokenEvent, WorkerError
    from http_util.live import Progress
    from http_util.sse import ServerEvent

SEEDS = 2**64
"""The engine keeps a seed in 64 bits without a sign."""

FINISH_REASONS = {
    "eos_token": FinishReason.STOP,
    "stop": FinishReason.STOP,  # the OpenAI routes' word for `eos_token`
    "stop_sequence": FinishReason.STOP,
    "length": FinishReason.LENGTH,
}


def parameters(request: TaskRequest, seed: int, adapter_id: str | None) -> dict[str, JsonValue]:
    """Return the parameters of `POST /generate_stream`; raise `AdapterError` for what the engine cannot do."""
    sampling = request.sampling
    refuse("min_p", None if is_greedy(sampling) else sampling.min_p)
    refuse("presence_penalty", sampling.presence_penalty)
    given: dict[str, JsonValue] = {
        "max_new_tokens": request.max_tokens,
        "details": True,
        "return_full_text": False,
        "seed": engine_seed(seed),
        **_drawing(sampling),
        "repetition_penalty": sampling.repeat_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": sampling.stop or None,
        "adapter_id": adapter_id,
    }
    return {name: value for name, value in given.items() if value is not None}


def engine_seed(seed: int) -> int:
    """Return any integer as a seed that the engine can read; those it can keep are not changed."""
    return seed % SEEDS


def is_greedy(sampling: Sampling) -> bool:
    """Whether the likeliest token is wanted each time, so that cuts of the distribution change nothing."""
    return sampling.temperature == 0


def refuse(name: str, value: float | None) -> None:
    """Raise `AdapterError` if a field that the engine does not have would change something: is neither None nor 0."""
    if value:
        raise AdapterError(f"completion: this engine has no `{name}`", blames_request=True)


def _drawing(sampling: Sampling) -> dict[str, JsonValue]:
    """Return how a token is drawn; a cut that is left in would make the engine draw although `do_sample` is off."""
    if is_greedy(sampling):
        return {"do_sample": False}
    cuts: dict[str, JsonValue] = {
        "temperature": sampling.temperature,
        "top_p": None if sampling.top_p == 1 else sampling.top_p,
        "top_k": sampling.top_k or None,
    }
    return {"do_sample": any(cut is not None for cut in cuts.values()), **cuts}


class _Token(msgspec.Struct):
    text: str
    special: bool = False


class _Details(msgspec.Struct):
    finish_reason: str = ""
    generated_tokens: int | None = None
    input_length: int | None = None


class _Frame(msgspec.Struct):
    token: _Token | None = None
    generated_text: str | None = None
    details: _Details | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_parse = msgspec.json.Decoder(_Frame).decode
_NO_ERROR = frozenset({b"null", b"false", b'""', b"{}"})


@final
class Reading:
    """Turn the frames of one stream into events; `failure(body)` is the error that an error object means.

    `is_complete` tells whether the end marker has come.
    """

    __slots__ = ("_failure", "_frames", "_started", "_texts", "is_complete")

    def __init__(self, started: Callable[[], Started], failure: Callable[[bytes], WorkerError]) -> None:
        self._started = started
        self._failure = failure
        self._frames = 0
        self._texts: list[str] = []
        self.is_complete = False

    def __call__(self, event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
        """Return the events in one frame; raise the `WorkerError` it reports, or `ValueError` if it is no frame."""
        frame = _parse(event.data)
        if frame.error is not msgspec.UNSET and bytes(frame.error) not in _NO_ERROR:
            raise self._failure(event.data)
        if frame.token is None:
            raise ValueError("a frame has neither a token nor an error")
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
        self.is_complete = True
        yield self._end(frame.details or _Details(), so_far)

    def _text(self, text: str, so_far: Progress) -> Token:
        self._texts.append(text)
        return Token(text, so_far.tokens)

    def _rest(self, whole: str) -> str:
        """Return what the whole text has more than what was given; nothing if it is another text."""
        given = "".join(self._texts)
        return whole[len(given) :] if whole.startswith(given) else ""

    def _end(self, details: _Details, so_far: Progress) -> End:
        reason = FINISH_REASONS.get(details.finish_reason, FinishReason.OTHER)
        return End(
            tokens_out=self._frames if details.generated_tokens is None else details.generated_tokens,
            decode_time_ms=so_far.decode_time_ms,
            finish_reason=reason,
            tokens_in=details.input_length,
            engine_finish_reason=details.finish_reason or None if reason is FinishReason.OTHER else None,
        )
