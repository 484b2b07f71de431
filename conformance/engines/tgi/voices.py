"""How TGI says the same things on its routes: natively, as a chat, as a completion of OpenAI's.

Pure. What differs is the frame of a token, the answer in one piece, and an error inside a stream, after which the
OpenAI routes send `[DONE]` all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

from . import replies

if TYPE_CHECKING:
    from adapter_api import JsonValue

    from .replies import Model, Outcome, Token
    from .requests import Generation


class Voice(Protocol):
    """How one route answers one request; each method returns bytes of the body."""

    def frame(self, index: int, token: Token, outcome: Outcome | None) -> bytes:
        """Return what a token is told with; with an outcome it is the last one and the stream's end."""

    def failing(self, kind: str, message: str) -> bytes:
        """Return an error inside a stream, and what follows it."""

    def whole(self, outcome: Outcome) -> JsonValue:
        """Return the answer in one piece."""


@final
@dataclass(frozen=True, slots=True)
class Native:
    """`/generate` and `/generate_stream`; with `in_list` the old route `/`, whose answer is a list of one."""

    asked: Generation
    in_list: bool = False

    def frame(self, index: int, token: Token, outcome: Outcome | None) -> bytes:
        return replies.event(replies.native_frame(index, token, outcome, details=self.asked.parameters.details))

    def failing(self, kind: str, message: str) -> bytes:
        return replies.event(replies.error(kind, message))

    def whole(self, outcome: Outcome) -> JsonValue:
        given = self.asked.parameters
        details = given.details or given.decoder_input_details
        answer = replies.native_answer(outcome, details=details, prefill=given.decoder_input_details)
        return [answer] if self.in_list else answer


@final
@dataclass(frozen=True, slots=True)
class Chat:
    """`/v1/chat/completions`."""

    asked: Generation
    model: Model

    def frame(self, index: int, token: Token, outcome: Outcome | None) -> bytes:
        chunks = replies.chat_chunks(self.model, token, outcome, usage=self.asked.wants_usage)
        return b"".join(map(replies.event, chunks)) + _done(outcome)

    def failing(self, kind: str, message: str) -> bytes:
        return replies.event(replies.openai_error(message)) + replies.DONE

    def whole(self, outcome: Outcome) -> JsonValue:
        return replies.chat_answer(self.model, outcome)


@final
@dataclass(frozen=True, slots=True)
class Completion:
    """`/v1/completions`."""

    model: Model

    def frame(self, index: int, token: Token, outcome: Outcome | None) -> bytes:
        return replies.event(replies.completion_chunk(self.model, token, outcome)) + _done(outcome)

    def failing(self, kind: str, message: str) -> bytes:
        return replies.event(replies.openai_error(message)) + replies.DONE

    def whole(self, outcome: Outcome) -> JsonValue:
        return replies.completion_answer(self.model, outcome)


def _done(outcome: Outcome | None) -> bytes:
    return b"" if outcome is None else replies.DONE
