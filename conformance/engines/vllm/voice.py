"""How vLLM says things: chunks of chat and of text, answers in one piece, errors.

A stream always ends with `[DONE]`, after an error too. The piece of text that comes last carries the finish reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from conformance.engines.made_up import name, token_id, tokenize
from conformance.engines.openai_wire import CREATED, DONE, JSON, Asked, Counts, dump, event

from . import replies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter_api import JsonValue
    from conformance.engines.script import Fail

    from .double import VllmSettings

    Fields = dict[str, JsonValue]

_STOPS = {"stop_string": "stop"}


@final
class VllmVoice:
    """The answer to one request; `label` is the client's own name for it or the server's."""

    ping = b": ping\n\n"  # never the server's own: what a proxy in between may add

    def __init__(self, asked: Asked, settings: VllmSettings, *, label: str, is_chat: bool) -> None:
        self._asked = asked
        self._settings = settings
        self._is_chat = is_chat
        kind = "chatcmpl-" if is_chat else "cmpl-"
        self._head: Fields = {
            "id": kind + label,
            "object": "chat.completion.chunk" if is_chat else "text_completion",
            "created": CREATED,
            "model": settings.model,
        }
        self._fingerprint = name(f"vllm-{settings.version}-", 0, 8)
        self._has_begun = False
        self._has_ids = bool(asked.given.get("return_token_ids"))

    def headers(self, failure: Fail | None = None) -> Iterable[tuple[str, str]]:
        return replies.HEADERS

    def greeting(self) -> bytes:
        return b""

    def opening(self, counts: Counts) -> bytes:
        if not self._is_chat:
            return b""
        delta: Fields = {"role": "assistant", "content": ""}
        choice: Fields = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        ids = list(self._asked.tokens) if self._has_ids else None
        return self._chunk([choice], counts, prompt_token_ids=ids, prompt_text=None) + self._thought(counts)

    def _thought(self, counts: Counts) -> bytes:
        settings = self._settings
        if not settings.reasoning:
            return b""
        return self._chunk(
            [{**self._choice("", None), "delta": {settings.reasoning_field: settings.reasoning}}], counts
        )

    def text(self, text: str, counts: Counts) -> bytes:
        return self._chunk([self._choice(text, None)], counts)

    def ending(self, text: str, reason: str, counts: Counts) -> bytes:
        choice = self._choice(text, reason)
        signed: Fields = {"system_fingerprint": self._fingerprint}
        if not self._asked.wants("include_usage"):
            return self._chunk([choice], counts, **signed) + DONE
        usage: Fields = {"choices": [], "usage": {**counts.usage()}, **signed}
        return self._chunk([choice], counts) + event({**self._head, **usage}) + DONE

    def failing(self, failure: Fail) -> bytes:
        return replies.error_event(failure) + DONE

    def refusal(self, failure: Fail) -> tuple[bytes, str]:
        return dump(replies.error_of(failure)), JSON

    def whole(self, text: str, reason: str, counts: Counts) -> bytes:
        details = {"prompt_tokens_details": None, "completion_tokens_details": None}
        ends: Fields = {
            "service_tier": None,
            "system_fingerprint": self._fingerprint,
            "usage": {**counts.usage(), **details},
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }
        if not self._is_chat:
            return dump({**self._head, "choices": [self._whole_text(text, reason)], **ends})
        prompt: Fields = {"prompt_logprobs": None, "prompt_token_ids": self._prompt_ids(), "prompt_text": None}
        head: Fields = {**self._head, "object": "chat.completion"}
        return dump({**head, "choices": [self._whole_message(text, reason)], **ends, **prompt})

    def _chunk(self, choices: list[JsonValue], counts: Counts, **more: JsonValue) -> bytes:
        if self._asked.wants("include_usage") and self._asked.wants("continuous_usage_stats"):
            details = {"completion_tokens_details": None} if self._is_chat else {}
            more = {"usage": {**counts.usage(), **details}, **more}
        return event({**self._head, "choices": choices, **more})

    def _choice(self, text: str, reason: str | None) -> Fields:
        said: Fields = {"delta": {"content": text}} if self._is_chat else {"text": text}
        ids: Fields = {} if self._is_chat else {"prompt_token_ids": None if self._has_begun else self._prompt_ids()}
        self._has_begun = True
        stop: Fields = {} if self._is_chat and reason is None else self._stop_reason(reason)
        finish = _STOPS.get(reason, reason) if reason else None
        rest: Fields = {"logprobs": None, "finish_reason": finish, **stop, **ids, "token_ids": self._ids(text)}
        return {"index": 0, **said, **rest}

    def _whole_message(self, text: str, reason: str) -> Fields:
        message: Fields = {
            "role": "assistant",
            "content": text,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "reasoning": self._settings.reasoning or None,
        }
        return {"index": 0, "message": message, **self._whole_end(text, reason)}

    def _whole_text(self, text: str, reason: str) -> Fields:
        prompt: Fields = {"prompt_logprobs": None, "prompt_token_ids": self._prompt_ids()}
        said = self._asked.prompt + text if self._asked.given.get("echo") else text
        return {"index": 0, "text": said, **self._whole_end(text, reason), **prompt}

    def _whole_end(self, text: str, reason: str) -> Fields:
        finish: Fields = {"finish_reason": _STOPS.get(reason, reason), **self._stop_reason(reason)}
        ids: list[JsonValue] | None = [*tokenize(text)] if self._has_ids else None
        return {"logprobs": None, **finish, "token_ids": ids, "routed_experts": None}

    def _stop_reason(self, reason: str | None) -> Fields:
        return {"stop_reason": self._asked.stop if reason == "stop_string" else None}

    def _ids(self, text: str) -> list[JsonValue] | None:
        return [token_id(text)] if self._has_ids else None

    def _prompt_ids(self) -> list[JsonValue] | None:
        return [*self._asked.tokens] if self._has_ids else None
