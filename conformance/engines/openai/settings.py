"""How an OpenAI double is set up: what it serves, what it limits, and how a clone would differ."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """What the clones of the interface do otherwise; the defaults are OpenAI's own ways.

    `role` is in the first chunk, in none or in every one, `empty_content` what stands where there is no text,
    `unfinished` what stands for the finish reason before the end. With `empty_first` a chunk without choices comes
    first, with `usage_on_finish` the usage is in the last chunk of text. `has_done` and `done_after_error` say where
    `[DONE]` comes, `done_after_response` whether a Responses stream has one too. `error` is the form of an error,
    `error_event` names the event of one, `failed_event` is how a Responses stream reports one. `space` is what follows
    `data:`, `ping` a comment that a script's `Ping` sends. Text of `reasoning` is sent before the answer in
    `reasoning_field`. With `ignores_unknown` fields that the interface does not have are not refused.
    """

    role: Literal["first", "never", "every"] = "first"
    empty_content: Literal["empty", "null", "missing"] = "empty"
    unfinished: Literal["null", "empty", "missing"] = "null"
    empty_first: bool = False
    usage_on_finish: bool = False
    has_done: bool = True
    done_after_error: bool = False
    done_after_response: bool = False
    error: Literal["object", "string", "detail", "number", "html", "empty"] = "object"
    error_event: bool = False
    failed_event: Literal["response.failed", "error"] = "response.failed"
    space: str = " "
    ping: str = "keep-alive"
    reasoning: str = ""
    reasoning_field: Literal["reasoning_content", "reasoning"] = "reasoning_content"
    ignores_unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiSettings:
    """What the service offers; times in seconds.

    `slots` is how many requests may be at work before one is refused, `requests_per_minute` how many are answered in
    a minute (None: any number). `retry_after` is the form in which a refused client is told to wait `retry_after_s`,
    `should_retry` whether it is told to try again at all. `release_s` is how long a request whose client has left still
    runs, `prefill_s` the time a prompt takes, `token_s` that of a made-up token.
    """

    model: str = "tiny"
    embedding_model: str = "tiny-embedding"
    fingerprint: str | None = "fp_0123456789"
    max_model_len: int = 8192
    api_key: str | None = None
    slots: int = 1000
    requests_per_minute: int | None = None
    retry_after: Literal["seconds", "ms", "date", "none"] = "seconds"
    retry_after_s: float = 2.0
    should_retry: Literal["", "true", "false"] = ""
    obfuscates: bool = True
    dimensions: int = 8
    release_s: float = 0.0
    prefill_s: float = 0.0
    token_s: float = 0.0
    quirks: Quirks = field(default_factory=Quirks)
