"""Parrot's protocol: requests in its words, and its words as events. Nothing here waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter_api import End, FinishReason, Token, WorkerReset
from http_util.openai_api.bodies import sampling_fields
from http_util.status import ErrorRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from adapter_api import JsonValue, Started, TaskRequest, TokenEvent, WorkerError
    from http_util.live import Progress
    from http_util.sse import ServerEvent

RULES = (
    # It fell off its perch in mid-sentence: the request died with it, and another parrot may do better.
    ErrorRule(error=WorkerReset, types=frozenset({"fallen"})),
)
"""What only this engine says; that 503 means "no room now" and 422 "your fault" is known for all engines."""

FINISH_REASONS = {"silent": FinishReason.STOP, "enough": FinishReason.LENGTH}


def speech(request: TaskRequest, seed: int) -> dict[str, JsonValue]:
    """Return the body of `POST /speak`; a parameter that a parrot does not have is refused, not dropped."""
    heard = request.prompt or "\n".join(f"{message.role}: {message.content}" for message in request.messages)
    mood = sampling_fields(request.sampling, {"temperature": "mood"})
    return {"heard": heard, "words": request.max_tokens, "seed": seed, **mood}


class Awake(msgspec.Struct, frozen=True):
    """The answer to `GET /awake`."""

    name: str
    parrot: str
    memory: int
    perches: int
    busy: int


class Frame(msgspec.Struct):
    """One event of a speech: a word, or its end, or an error."""

    say: str = ""
    done: str = ""
    heard: int | None = None
    said: int | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Reading:
    """Turn the frames of one speech into events; `is_over` tells whether its end has come."""

    def __init__(self, started: Callable[[], Started], failure: Callable[[bytes], WorkerError]) -> None:
        self.is_over = False
        self._started = started
        self._failure = failure
        self._has_started = False

    def __call__(self, event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
        """Return the events in one frame; raise the error that it reports."""
        frame = msgspec.json.decode(event.data, type=Frame)
        if frame.error is not msgspec.UNSET:
            raise self._failure(event.data)
        return self._events(frame, so_far)

    def _events(self, frame: Frame, so_far: Progress) -> Iterator[TokenEvent]:
        if not self._has_started:
            self._has_started = True
            yield self._started()
        if frame.say:
            yield Token(frame.say, so_far.tokens)
        if frame.done:
            self.is_over = True
            yield _end(frame, so_far)


def _end(frame: Frame, so_far: Progress) -> End:
    reason = FINISH_REASONS.get(frame.done, FinishReason.OTHER)
    return End(
        tokens_out=so_far.tokens if frame.said is None else frame.said,
        tokens_in=frame.heard,
        decode_time_ms=so_far.decode_time_ms,
        finish_reason=reason,
        engine_finish_reason=frame.done if reason is FinishReason.OTHER else None,
    )
