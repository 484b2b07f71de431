"""Requests into llama.cpp's words and its frames into events.

Pure. Frames are not tokens: a token that ends inside a character gives no frame, and one that may begin a stop string
gives a frame without text, so the counts are the engine's own and an index counts texts. The last frame repeats the
whole prompt; fields that are not named here are skipped, not parsed.

Implements: ADAPT-3003, ADAPT-3010, OC-ADAPT-5010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import msgspec

from adapter_api import Determinism, End, FinishReason, Metrics, Token
from http_util.figures import Count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from adapter_api import JsonValue, Message, Started, TaskRequest, TokenEvent, WorkerError
    from http_util.live import Progress
    from http_util.sse import ServerEvent

RANDOM_SEED = 2**32 - 1
"""The engine keeps 32 bits of a seed, and takes this one for a wish to draw its own."""

FINISH_REASONS = {"eos": FinishReason.STOP, "word": FinishReason.STOP, "limit": FinishReason.LENGTH}


def completion(request: TaskRequest, prompt: str, seed: int) -> dict[str, JsonValue]:
    """Return the body of `POST /completion`."""
    may_reuse = request.reuse_kv and request.determinism is not Determinism.STRICT
    sampling = request.sampling
    body: dict[str, JsonValue | None] = {
        "prompt": prompt,
        "stream": True,
        # While it reads the prompt the engine notices a closed connection only when it has something to write: without
        # a frame for each batch, a cancelled prefill runs to its end (measured: 13 s against 1 s).
        "return_progress": True,
        "n_predict": request.max_tokens,
        "seed": engine_seed(seed),
        "cache_prompt": may_reuse,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": sampling.stop or None,
    }
    return {name: value for name, value in body.items() if value is not None}


def engine_seed(seed: int) -> int:
    """Return any integer as a seed that the engine keeps as it is; those it can keep are not changed."""
    return seed % RANDOM_SEED


def template(messages: tuple[Message, ...]) -> dict[str, JsonValue]:
    """Return the body of `POST /apply-template`."""
    return {"messages": [{"role": message.role, "content": message.content} for message in messages]}


class Prompt(msgspec.Struct):
    """The answer to `POST /apply-template`."""

    prompt: str


class _PromptProgress(msgspec.Struct):
    cache: Count = 0
    processed: Count = 0
    total: Count = 0


class _Frame(msgspec.Struct):
    content: str | msgspec.UnsetType = msgspec.UNSET
    stop: bool = False
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    tokens_predicted: Count | None = None
    tokens_evaluated: Count | None = None
    prompt_progress: _PromptProgress | None = None
    stop_type: str = ""
    model: str | None = None


_parse = msgspec.json.Decoder(_Frame).decode
_NO_ERROR = frozenset({b"null", b"false", b'""', b"{}"})


@final
class Reading:
    """Turn the frames of one stream into events.

    `started(tokens_in, kv_warmth)` makes the first event, `failure(body)` the error that an error object means.
    `model` is what the last frame calls the model, None until then.
    """

    __slots__ = ("_failure", "_has_started", "_started", "model")

    def __init__(
        self, started: Callable[[int | None, bool | None], Started], failure: Callable[[bytes], WorkerError]
    ) -> None:
        self._started = started
        self._failure = failure
        self._has_started = False
        self.model: str | None = None

    def __call__(self, event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
        """Return the events in one frame; raise the `WorkerError` it reports, or `ValueError` if it is no frame."""
        if event.name == "error":  # builds before September 2025: the object itself on an `error:` line
            raise self._failure(b'{"error":%b}' % event.data)
        if event.data == b"[DONE]":  # those builds again; it says nothing about success
            return ()
        frame = _parse(event.data)
        if frame.error is not msgspec.UNSET and bytes(frame.error) not in _NO_ERROR:
            raise self._failure(event.data)
        if self._has_started and not frame.stop and frame.content:  # nearly every frame
            return (Token(frame.content, so_far.tokens),)
        return self._events(frame, so_far)

    def _events(self, frame: _Frame, so_far: Progress) -> Iterator[TokenEvent]:
        if frame.content is msgspec.UNSET:
            raise ValueError("a frame has neither text nor an error")
        if not self._has_started:
            self._has_started = True
            progress = frame.prompt_progress
            yield self._started(frame.tokens_evaluated, None if progress is None else progress.cache > 0)
        if frame.prompt_progress is not None:
            yield _progress(frame.prompt_progress)
        if frame.content:
            yield Token(frame.content, so_far.tokens)
        if frame.stop:
            self.model = frame.model
            yield _end(frame, so_far)


def _progress(progress: _PromptProgress) -> Metrics:
    return Metrics({"prompt_tokens_read": progress.processed, "prompt_tokens_total": progress.total})


def _end(frame: _Frame, so_far: Progress) -> End:
    reason = FINISH_REASONS.get(frame.stop_type, FinishReason.OTHER)
    return End(
        tokens_out=so_far.tokens if frame.tokens_predicted is None else frame.tokens_predicted,
        decode_time_ms=so_far.decode_time_ms,
        finish_reason=reason,
        tokens_in=frame.tokens_evaluated,
        engine_finish_reason=frame.stop_type or None if reason is FinishReason.OTHER else None,
    )
