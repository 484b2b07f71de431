"""How llama.cpp says things on its routes: its own frames, and OpenAI's chunks of chat and of text.

A voice makes the bytes of one answer; which slot it runs on and when things are said is the generation's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

from conformance.engines.made_up import name
from conformance.engines.openai_wire import CREATED, DONE, event

from . import replies

if TYPE_CHECKING:
    from adapter_api import JsonValue

    from .replies import Counts, Model
    from .requests import Completion

    Fields = dict[str, JsonValue]

_FINISHES = {"stop": "stop", "stop_string": "stop"}


class Voice(Protocol):
    """The bytes of one answer."""

    done: bytes
    """What an older server sent after an error."""

    def progress(self, counts: Counts, processed: int, time_ms: int) -> bytes:
        """Return a report of how much of the prompt is done."""

    def text(self, text: str, token: int, counts: Counts) -> bytes:
        """Return a piece of text in a stream."""

    def ending(self, slot: int, reason: str, counts: Counts) -> bytes:
        """Return the end of a stream."""

    def whole(self, text: str, slot: int, reason: str, counts: Counts) -> bytes:
        """Return an answer in one piece."""


@final
class NativeVoice:
    """`/completion`: frames with `content`, the last with `stop`."""

    done = b""

    def __init__(self, model: Model, request: Completion) -> None:
        self._model = model
        self._request = request

    def progress(self, counts: Counts, processed: int, time_ms: int) -> bytes:
        return event(replies.progress_frame(counts, processed, time_ms))

    def text(self, text: str, token: int, counts: Counts) -> bytes:
        return event(replies.partial_frame(text, (token,), counts))

    def ending(self, slot: int, reason: str, counts: Counts) -> bytes:
        return event(self._final("", slot, reason, counts))

    def whole(self, text: str, slot: int, reason: str, counts: Counts) -> bytes:
        return replies.dump(self._final(text, slot, reason, counts))

    def _final(self, content: str, slot: int, reason: str, counts: Counts) -> Fields:
        return replies.final_frame(
            content=content,
            slot=slot,
            model=self._model,
            counts=counts,
            given=self._request.given,
            prompt=self._request.prompt,
            stop_type=replies.STOP_TYPES.get(reason, "none"),
        )


@final
class OpenAiVoice:
    """`/v1/chat/completions` and `/v1/completions`: chunks, and `[DONE]` after them, but not after an error."""

    done = DONE

    def __init__(self, model: Model, request: Completion, *, number: int, is_chat: bool) -> None:
        self._request = request
        self._is_chat = is_chat
        self._is_open = not is_chat  # a chat begins with the role
        self._head: Fields = {
            "created": CREATED,
            "id": name("chatcmpl-", number, 32),
            "model": model.path,
            "system_fingerprint": model.build_info,
            "object": "chat.completion.chunk" if is_chat else "text_completion",
        }

    def progress(self, counts: Counts, processed: int, time_ms: int) -> bytes:
        progress = replies.prompt_progress(counts, processed, time_ms)
        choice = self._delta({"role": "assistant", "content": None}) if self._is_chat else self._text_choice("")
        return self._chunk(choice, prompt_progress=progress)

    def text(self, text: str, token: int, counts: Counts) -> bytes:
        timings: Fields = {"timings": replies.timings(counts)} if self._request.given.get("timings_per_token") else {}
        if not self._is_chat:
            return self._chunk(self._text_choice(text), **timings)
        opening = b"" if self._is_open else self._opening()
        return opening + (self._chunk(self._delta({"content": text}), **timings) if text else b"")

    def ending(self, slot: int, reason: str, counts: Counts) -> bytes:
        timings: Fields = {"timings": replies.timings(counts)}
        finish = _FINISHES.get(reason, "length")
        if not self._is_chat:
            return self._chunk(self._text_choice("", finish), usage=replies.usage(counts), **timings) + DONE
        opening = b"" if self._is_open else self._opening()
        if not self._request.has_usage:
            return opening + self._chunk(self._delta({}, finish), **timings) + DONE
        usage: Fields = {**self._head, "choices": [], "usage": replies.usage(counts), **timings}
        return opening + self._chunk(self._delta({}, finish)) + event(usage) + DONE

    def whole(self, text: str, slot: int, reason: str, counts: Counts) -> bytes:
        finish = _FINISHES.get(reason, "length")
        message: Fields = {"finish_reason": finish, "index": 0, "message": {"role": "assistant", "content": text}}
        choice = message if self._is_chat else self._text_choice(text, finish)
        kind = "chat.completion" if self._is_chat else "text_completion"
        ends: Fields = {"usage": replies.usage(counts), "timings": replies.timings(counts)}
        return replies.dump({**self._head, "choices": [choice], "object": kind, **ends})

    def _opening(self) -> bytes:
        self._is_open = True
        return self._chunk(self._delta({"role": "assistant", "content": None}))

    def _chunk(self, choice: Fields, **more: JsonValue) -> bytes:
        return event({"choices": [choice], **self._head, **more})

    def _delta(self, delta: Fields, finish: str | None = None) -> Fields:
        return {"finish_reason": finish, "index": 0, "delta": delta}

    def _text_choice(self, text: str, finish: str | None = None) -> Fields:
        return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
