"""How OpenAI and its clones say things in chat and text completions.

The role comes with an empty text, the finish reason with none; usage has a chunk of its own, and every other chunk then
says `"usage": null`. What a clone does otherwise is in `Quirks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from conformance.engines.made_up import name
from conformance.engines.openai_wire import CREATED, DONE, Asked, Counts, dump

from . import replies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter_api import JsonValue
    from conformance.engines.script import Fail

    from .settings import OpenAiSettings

    Fields = dict[str, JsonValue]

_FINISHES = {"stop_string": "stop"}
_OBFUSCATION = 16  # characters of padding at most


@final
class OpenAiVoice:
    """The answer to one chat or text; `heads` are the headers of every answer."""

    def __init__(
        self, asked: Asked, settings: OpenAiSettings, *, number: int, is_chat: bool, heads: Iterable[tuple[str, str]]
    ) -> None:
        self._asked = asked
        self._settings = settings
        self._quirks = settings.quirks
        self._is_chat = is_chat
        self._heads = tuple(heads)
        self._said = 0
        self.ping = f": {settings.quirks.ping}\n\n".encode()
        self._head: Fields = {
            "id": name("chatcmpl-" if is_chat else "cmpl-", number, 29),
            "object": "chat.completion.chunk" if is_chat else "text_completion",
            "created": CREATED,
            "model": settings.model,
            "system_fingerprint": settings.fingerprint,
        }

    def headers(self, failure: Fail | None = None) -> Iterable[tuple[str, str]]:
        return (*self._heads, *(replies.advice(failure, self._settings) if failure is not None else ()))

    def greeting(self) -> bytes:
        return b""

    def opening(self, counts: Counts) -> bytes:
        quirks = self._quirks
        first = self._chunk([]) if quirks.empty_first else b""
        if not self._is_chat:
            return first
        if quirks.role == "first":
            first += self._chunk([self._choice({"role": "assistant", **self._no_text()})])
        if quirks.reasoning:
            first += self._chunk([self._choice({quirks.reasoning_field: quirks.reasoning, **self._no_text()})])
        return first

    def text(self, text: str, counts: Counts) -> bytes:
        return self._chunk([self._choice({"content": text})])

    def ending(self, text: str, reason: str, counts: Counts) -> bytes:
        said = self.text(text, counts) if text else b""
        finish = self._choice({}, _FINISHES.get(reason, reason))
        has_usage = self._asked.wants("include_usage")
        usage: Fields = {"usage": _usage(counts)}
        done = DONE if self._quirks.has_done else b""
        if self._quirks.usage_on_finish:
            return said + self._chunk([finish], **usage) + done
        return said + self._chunk([finish]) + (self._chunk([], **usage) if has_usage else b"") + done

    def failing(self, failure: Fail) -> bytes:
        event = b"event: error\n" if self._quirks.error_event else b""
        done = DONE if self._quirks.done_after_error else b""
        return event + self._data(replies.error_of(failure, self._quirks)) + done

    def whole(self, text: str, reason: str, counts: Counts) -> bytes:
        finish = _FINISHES.get(reason, reason)
        message: Fields = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
        if self._quirks.reasoning:
            message[self._quirks.reasoning_field] = self._quirks.reasoning
        said: Fields = {"message": message} if self._is_chat else {"text": text}
        choice: Fields = {"index": 0, **said, "logprobs": None, "finish_reason": finish}
        kind = "chat.completion" if self._is_chat else "text_completion"
        ends: Fields = {"choices": [choice], "usage": _usage(counts), "service_tier": "default"}
        return dump({**self._head, "object": kind, **ends})

    def refusal(self, failure: Fail) -> tuple[bytes, str]:
        return replies.refusal(failure, self._quirks)

    def _choice(self, delta: Fields, finish: str | None = None) -> Fields:
        ends: Fields = {"logprobs": None, "finish_reason": finish}
        if finish is None and self._quirks.unfinished != "null":
            ends = {"logprobs": None, **({"finish_reason": ""} if self._quirks.unfinished == "empty" else {})}
        if not self._is_chat:
            return {"index": 0, "text": delta.get("content", ""), **ends}
        if self._quirks.role == "every":
            delta = {"role": "assistant", **delta}
        return {"index": 0, "delta": delta, **ends}

    def _no_text(self) -> Fields:
        match self._quirks.empty_content:
            case "empty":
                return {"content": ""}
            case "null":
                return {"content": None}
            case "missing":
                return {}

    def _chunk(self, choices: list[JsonValue], **more: JsonValue) -> bytes:
        if self._asked.wants("include_usage") and not self._quirks.usage_on_finish:
            more = {"usage": None, **more}
        return self._data({**self._head, "choices": choices, **more, **self._padding()})

    def _padding(self) -> Fields:
        options = self._asked.given.get("stream_options")
        wanted = options.get("include_obfuscation") if isinstance(options, dict) else None
        if not self._settings.obfuscates or wanted is False:
            return {}
        self._said += 1
        return {"obfuscation": name("", self._said, 1 + self._said % _OBFUSCATION)}

    def _data(self, value: JsonValue) -> bytes:
        return f"data:{self._quirks.space}".encode() + dump(value) + b"\n\n"


def _usage(counts: Counts) -> Fields:
    prompt: Fields = {"cached_tokens": counts.cached, "audio_tokens": 0}
    completion: Fields = {"reasoning_tokens": 0, "audio_tokens": 0}
    return {**counts.usage(), "prompt_tokens_details": prompt, "completion_tokens_details": completion}
