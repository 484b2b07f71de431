"""How OpenAI says things in the Responses API: named and numbered events around the text.

An answer that stops at a limit ends with `response.incomplete`, one that fails with `response.failed` or `error`; there
is no `[DONE]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from conformance.engines.made_up import name
from conformance.engines.openai_wire import CREATED, DONE, Asked, Counts, dump, event

from . import replies

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter_api import JsonValue
    from conformance.engines.script import Fail

    from .settings import OpenAiSettings

    Fields = dict[str, JsonValue]
    Heads = Iterable[tuple[str, str]]

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
_CODES = frozenset({"server_error", "rate_limit_exceeded", "invalid_prompt"})


@final
class ResponsesVoice:
    """The answer to one call; `heads` are the headers of every answer."""

    def __init__(
        self, asked: Asked, settings: OpenAiSettings, *, number: int, heads: Iterable[tuple[str, str]]
    ) -> None:
        self._asked = asked
        self._settings = settings
        self._heads = tuple(heads)
        self._id = name("resp_", number, 48)
        self._item = name("msg_", number, 48)
        self._numbered = -1
        self._said: list[str] = []
        self.ping = f": {settings.quirks.ping}\n\n".encode()

    def headers(self, failure: Fail | None = None) -> Iterable[tuple[str, str]]:
        return (*self._heads, *(replies.advice(failure, self._settings) if failure is not None else ()))

    def greeting(self) -> bytes:
        begun = self._response("in_progress", [])
        return self._event("response.created", response=begun) + self._event("response.in_progress", response=begun)

    def opening(self, counts: Counts) -> bytes:
        item: Fields = {**self._message("in_progress"), "content": []}
        added = self._event("response.output_item.added", output_index=0, item=item)
        return added + self._of_part("response.content_part.added", part=_part(""))

    def text(self, text: str, counts: Counts) -> bytes:
        self._said.append(text)
        padding: Fields = {"obfuscation": name("", self._numbered, 8)} if self._settings.obfuscates else {}
        return self._of_part("response.output_text.delta", delta=text, logprobs=[], **padding)

    def ending(self, text: str, reason: str, counts: Counts) -> bytes:
        last = self.text(text, counts) if text else b""
        whole = "".join(self._said)
        status = self._status(reason)
        item = self._message(status, whole)
        return b"".join((
            last,
            self._of_part("response.output_text.done", text=whole, logprobs=[]),
            self._of_part("response.content_part.done", part=_part(whole)),
            self._event("response.output_item.done", output_index=0, item=item),
            self._event(f"response.{status}", response=self._response(status, [item], reason, counts)),
            DONE if self._settings.quirks.done_after_response else b"",
        ))

    def failing(self, failure: Fail) -> bytes:
        code = failure.type if failure.type in _CODES or failure.type in replies.TYPES else "server_error"
        if self._settings.quirks.failed_event == "error":
            return self._event("error", code=code, message=failure.message, param=None)
        error: Fields = {"code": code, "message": failure.message}
        return self._event("response.failed", response={**self._response("failed", []), "error": error})

    def whole(self, text: str, reason: str, counts: Counts) -> bytes:
        status = self._status(reason)
        return dump(self._response(status, [self._message(status, text)], reason, counts))

    def refusal(self, failure: Fail) -> tuple[bytes, str]:
        return replies.refusal(failure, self._settings.quirks)

    def _status(self, reason: str) -> str:
        return "incomplete" if reason in _INCOMPLETE else "completed"

    def _event(self, kind: str, **fields: JsonValue) -> bytes:
        self._numbered += 1
        return event({"type": kind, "sequence_number": self._numbered, **fields}, kind)

    def _of_part(self, kind: str, **fields: JsonValue) -> bytes:
        return self._event(kind, item_id=self._item, output_index=0, content_index=0, **fields)

    def _message(self, status: str, text: str = "") -> Fields:
        head: Fields = {"id": self._item, "type": "message", "role": "assistant", "status": status}
        return {**head, "content": [_part(text)]}

    def _response(self, status: str, output: list[JsonValue], reason: str = "", counts: Counts | None = None) -> Fields:
        given = self._asked.given
        why: JsonValue = {"reason": _INCOMPLETE[reason]} if reason in _INCOMPLETE else None
        usage: JsonValue = None if counts is None else _usage(counts)
        return {
            "id": self._id,
            "object": "response",
            "created_at": CREATED,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": why,
            "instructions": given.get("instructions"),
            "max_output_tokens": given.get("max_output_tokens"),
            "metadata": {},
            "model": self._settings.model,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "service_tier": "default",
            "store": False,
            "temperature": given.get("temperature", 1.0),
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": given.get("top_p", 1.0),
            "truncation": "disabled",
            "usage": usage,
        }


def _part(text: str) -> Fields:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(counts: Counts) -> Fields:
    return {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": 0},
        "output_tokens": counts.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counts.prompt + counts.completion,
    }
