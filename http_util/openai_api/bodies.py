"""Requests as bodies of the OpenAI routes.

The rule: what is asked for is sent under the server's own name for it, or refused; nothing is dropped on the way. What
is not asked for is left out, so that the server's own default stays in force.

Pure. Embeddings and rerank are `pieces.py`.

Implements: OC-ADAPT-OAI-6003, OC-ADAPT-OAI-6004.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from adapter_api import AdapterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue, Sampling, TaskRequest

STANDARD: Mapping[str, str] = MappingProxyType({
    "temperature": "temperature",
    "top_p": "top_p",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "stop": "stop",
})
"""Field of `Sampling` -> field of the chat and text completions that every such server has."""
RESPONSES: Mapping[str, str] = MappingProxyType({"temperature": "temperature", "top_p": "top_p"})
"""The same for the Responses API, which has no others."""
INCLUDE_USAGE: Mapping[str, JsonValue] = {"include_usage": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one server differs.

    `sampling` names the fields of `Sampling` that the server has, `max_tokens` is the limit's name in a chat; `more` is
    put into every body and gives way to the adapter's own fields.
    """

    sampling: Mapping[str, str] = field(default_factory=lambda: STANDARD)
    max_tokens: str = "max_tokens"
    stream_options: Mapping[str, JsonValue] | None = field(default_factory=lambda: INCLUDE_USAGE)
    more: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)


def completion(request: TaskRequest, dialect: Dialect, *, model: str | None, seed: int | None) -> dict[str, JsonValue]:
    """Return the body of `POST /v1/completions`; raise `AdapterError` for a field that the server does not have."""
    return _streamed(
        dialect,
        {"model": model, "prompt": request.prompt, "max_tokens": request.max_tokens, "seed": seed},
        sampling_fields(request.sampling, dialect.sampling),
    )


def chat(request: TaskRequest, dialect: Dialect, *, model: str | None, seed: int | None) -> dict[str, JsonValue]:
    """Return the body of `POST /v1/chat/completions`; a prompt becomes the one message of a user."""
    return _streamed(
        dialect,
        {"model": model, "messages": _messages(request), dialect.max_tokens: request.max_tokens, "seed": seed},
        sampling_fields(request.sampling, dialect.sampling),
    )


def response(request: TaskRequest, more: Mapping[str, JsonValue], *, model: str | None) -> dict[str, JsonValue]:
    """Return the body of `POST /v1/responses`, which is not stored there; a seed is refused like any other field."""
    if request.seed is not None:
        raise _unknown("seed")
    body: dict[str, JsonValue] = {
        "model": model,
        "input": _messages(request) if request.messages else request.prompt,
        "max_output_tokens": request.max_tokens,
        "stream": True,
        "store": False,
        **sampling_fields(request.sampling, RESPONSES),
    }
    return {**more, **_given(body)}


def sampling_fields(sampling: Sampling, names: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return the sampling parameters that are set, under the server's names; raise `AdapterError` for one without."""
    given: dict[str, JsonValue] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": sampling.stop or None,
    }
    fields = _given(given)
    for name in fields:
        if name not in names:
            raise _unknown(name)
    return {names[name]: value for name, value in fields.items()}


def kept_seed(seed: int, modulus: int) -> int:
    """Return any integer as a seed from 0 to `modulus` - 1; those are not changed."""
    return seed % modulus


def _streamed(
    dialect: Dialect, body: Mapping[str, JsonValue], sampling: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    own = {**body, "stream": True, "stream_options": dialect.stream_options, **sampling}
    return {**dialect.more, **_given(own)}


def _messages(request: TaskRequest) -> list[JsonValue]:
    if not request.messages:
        return [{"role": "user", "content": request.prompt}]
    return [{"role": message.role, "content": message.content} for message in request.messages]


def _given(fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in fields.items() if value is not None}


def _unknown(name: str) -> AdapterError:
    return AdapterError(f"completion: the engine's interface has no `{name}`", blames_request=True)
