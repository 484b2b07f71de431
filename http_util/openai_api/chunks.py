"""Reading the streams of chat and text completions.

The rule: an answer has ended well if a chunk gave a reason to finish, no frame reported an error, and `[DONE]` or the
end of the body came. `[DONE]` alone proves nothing: some servers send it after an error too. Chunks are not tokens; the
counts are the server's where it gives them.

Chunks without choices (counts, filters) are read wherever they come. Of several answers only the first is read. Text
that the model thinks, and does not say, is counted and not passed on. Fields that are not named here are skipped.

Implements: OC-ADAPT-OAI-6005, OC-ADAPT-OAI-6006.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import msgspec

from adapter_api import Metrics, Token, WorkerReset

from .answers import ABORTED, NO_ERROR, Beginning, Usage, ending, unfinished

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from adapter_api import TokenEvent
    from http_util.live import Progress
    from http_util.sse import ServerEvent

    from .answers import Begin, Failure

_DONE = b"[DONE]"


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None

    @property
    def thought(self) -> str:
        return self.reasoning or self.reasoning_content or ""


class _Choice(msgspec.Struct):
    index: int = 0
    text: str | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | msgspec.UnsetType | None = msgspec.UNSET
    usage: Usage | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    model: str | None = None
    system_fingerprint: str | None = None

    @property
    def is_failure(self) -> bool:
        return self.error is not msgspec.UNSET and bytes(self.error) not in NO_ERROR


_parse = msgspec.json.Decoder(_Chunk).decode


@final
class ChunkReading:
    """Turn the frames of one stream into events.

    `begin` makes the first events, `failure(body)` the error that a frame reports. `has_begun` says that there was a
    frame of the answer, `is_over` that the answer ended well.
    """

    __slots__ = ("_begin", "_failure", "_thought_chars", "_usage", "_why", "has_begun", "is_over")

    def __init__(self, begin: Begin, failure: Failure) -> None:
        self._begin = begin
        self._failure = failure
        self.has_begun = False
        self._thought_chars = 0
        self._usage: Usage | None = None
        self._why = ""
        self.is_over = False

    def __call__(self, event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
        """Return the events in one frame; raise the `WorkerError` it reports, or `ValueError` if it is no frame."""
        if event.data.strip() == _DONE:
            return self._done(so_far)
        chunk = _parse(event.data)
        if chunk.is_failure:
            raise self._failure(event.data)
        if event.name == "error":  # the object itself, without the field around it
            raise self._failure(b'{"error":%b}' % event.data)
        return self._events(chunk, so_far)

    def at_end(self, so_far: Progress) -> Iterable[TokenEvent]:
        """Return the last events of a body that ended without `[DONE]`, as some servers end it; none if it was cut."""
        return self._ending(so_far) if self._why else ()

    def _done(self, so_far: Progress) -> Iterator[TokenEvent]:
        if not self._why:
            raise unfinished()
        return self._ending(so_far)

    def _ending(self, so_far: Progress) -> Iterator[TokenEvent]:
        self.is_over = True
        return ending(self._why, self._usage, so_far)

    def _events(self, chunk: _Chunk, so_far: Progress) -> Iterator[TokenEvent]:
        if chunk.choices is msgspec.UNSET and chunk.usage is None:
            raise ValueError("a frame has neither choices nor counts nor an error")
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index == 0:
                yield from self._opening(chunk)
                yield from self._choice(choice, so_far)

    def _opening(self, chunk: _Chunk) -> Iterable[TokenEvent]:
        if self.has_begun:
            return ()
        self.has_begun = True
        tokens_in = None if chunk.usage is None else chunk.usage.prompt_tokens
        return self._begin(Beginning(model=chunk.model, fingerprint=chunk.system_fingerprint, tokens_in=tokens_in))

    def _choice(self, choice: _Choice, so_far: Progress) -> Iterator[TokenEvent]:
        delta = choice.delta
        if delta is not None and delta.thought:
            yield self._thought(delta.thought, so_far)
        text = choice.text or (delta and (delta.content or delta.refusal))
        if text:
            yield Token(text, so_far.tokens)
        if choice.finish_reason == ABORTED:
            raise WorkerReset("completion: the engine aborted the request")
        self._why = choice.finish_reason or self._why

    def _thought(self, text: str, so_far: Progress) -> Metrics:
        so_far.begin()
        self._thought_chars += len(text)
        return Metrics({"reasoning_chars": self._thought_chars})
