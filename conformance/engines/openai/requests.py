"""What OpenAI reads from a request and how it refuses one.

Pure. The interface refuses fields that it does not have, and models that it does not serve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from conformance.engines.made_up import tokenize
from conformance.engines.openai_wire import Asked, text_of, texts_of
from conformance.engines.received import as_received, json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue
    from conformance.engines.http1 import SeenRequest
    from conformance.engines.received import Received

    from .settings import OpenAiSettings

    Given = Mapping[str, JsonValue]

_SAMPLING = frozenset({"temperature", "top_p", "stream", "stream_options", "model", "user", "safety_identifier"})
_GENERATION = _SAMPLING | {"n", "seed", "stop", "max_tokens", "presence_penalty", "frequency_penalty", "logit_bias"}
KNOWN: Mapping[str, frozenset[str]] = {
    "/v1/chat/completions": _GENERATION
    | {"messages", "max_completion_tokens", "logprobs", "top_logprobs", "tools", "tool_choice", "response_format"}
    | {"metadata", "store", "service_tier", "reasoning_effort", "parallel_tool_calls", "verbosity", "modalities"},
    "/v1/completions": _GENERATION | {"prompt", "logprobs", "echo", "best_of", "suffix"},
    "/v1/responses": _SAMPLING
    | {"input", "instructions", "max_output_tokens", "metadata", "store", "service_tier", "tools", "tool_choice"}
    | {"reasoning", "text", "include", "previous_response_id", "truncation", "parallel_tool_calls", "background"},
    "/v1/embeddings": frozenset({"model", "input", "encoding_format", "dimensions", "user"}),
}
"""Route -> fields of its requests."""

_DEFAULTS: Mapping[str, JsonValue] = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}
"""What the reference documents for fields that are not given."""

_NUMBERS = {"temperature": (0, 2), "top_p": (0, 1), "presence_penalty": (-2, 2), "frequency_penalty": (-2, 2)}
_INTEGERS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "n", "seed")
_TEXT_LIMIT = 16


class Refused(Exception):
    """The service refuses a request; `code` is the error's, `param` the field at fault."""

    def __init__(self, message: str, code: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.code, self.param, self.status = message, code, param, status


def read_object(body: bytes, path: str, settings: OpenAiSettings) -> dict[str, JsonValue]:
    """Return the JSON object in `body`, with its fields in form, for a model that is served."""
    try:
        given: JsonValue = msgspec.json.decode(body)
    except ValueError as wrong:
        raise Refused("We could not parse the JSON body of your request.", "invalid_request_error") from wrong
    if not isinstance(given, dict):
        raise Refused("The JSON body of a request has to be an object.", "invalid_request_error")
    _check_names(given, path, settings)
    _check_model(given, settings)
    _check_values(given)
    return given


def read_chat(given: Given, settings: OpenAiSettings) -> Asked:
    """Return the completion that a chat asks for, or refuse it."""
    messages = given.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("Missing required parameter: 'messages'.", "invalid_value", "messages")
    return _asked(given, "".join(_turn(message) for message in messages), "messages", settings)


def read_completion(given: Given, settings: OpenAiSettings) -> Asked:
    """Return the completion that a text asks for, or refuse it."""
    texts = texts_of(given.get("prompt"))
    if not texts:
        raise Refused("Missing required parameter: 'prompt'.", "invalid_value", "prompt")
    return _asked(given, texts[0], "prompt", settings, limit=_TEXT_LIMIT)


def read_response(given: Given, settings: OpenAiSettings) -> Asked:
    """Return the completion that a call of the Responses API asks for, or refuse it."""
    value = given.get("input")
    if not value:
        raise Refused("Missing required parameter: 'input'.", "invalid_value", "input")
    turns = value if isinstance(value, list) else [{"role": "user", "content": value}]
    instructions = text_of(given.get("instructions"))
    return _asked(given, instructions + "".join(_turn(turn) for turn in turns), "input", settings)


def received_by(request: SeenRequest) -> Received:
    """Return a request in neutral words."""
    return as_received(request, json_object(request.body), _DEFAULTS)


def read_inputs(given: Given) -> list[str]:
    """Return the texts to embed, or refuse."""
    texts = texts_of(given.get("input"))
    if not texts:
        raise Refused("'$.input' is invalid. Please check the API reference.", "invalid_value", "input")
    return texts


def _asked(given: Given, prompt: str, param: str, settings: OpenAiSettings, limit: int = 0) -> Asked:
    tokens = tokenize(prompt)
    room = settings.max_model_len - len(tokens)
    if room < 1:
        message = (
            f"This model's maximum context length is {settings.max_model_len} tokens. However, your {param} "
            f"resulted in {len(tokens)} tokens. Please reduce the length of the {param}."
        )
        raise Refused(message, "context_length_exceeded", param)
    return Asked(prompt, tokens, given, min(limit or room, room))


def _check_names(given: Given, path: str, settings: OpenAiSettings) -> None:
    unknown = given.keys() - KNOWN[path]
    if unknown and not settings.quirks.ignores_unknown:
        name = min(unknown)
        raise Refused(f"Unknown parameter: '{name}'.", "unknown_parameter", name)


def _check_model(given: Given, settings: OpenAiSettings) -> None:
    model = given.get("model")
    if not model:
        raise Refused("you must provide a model parameter", "invalid_request_error")
    if model not in (settings.model, settings.embedding_model):
        message = f"The model `{model}` does not exist or you do not have access to it."
        raise Refused(message, "model_not_found", "model", 404)


def _check_values(given: Given) -> None:
    for name, (least, most) in _NUMBERS.items():
        value = given.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise _wrong_type(name, "a decimal number", value)
        if isinstance(value, int | float) and not least <= value <= most:
            raise Refused(f"Invalid '{name}': expected a value from {least} to {most}.", "invalid_value", name)
    for name in _INTEGERS:
        value = given.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise _wrong_type(name, "an integer", value)
    if not isinstance(given.get("stream"), bool | None):
        raise _wrong_type("stream", "a boolean", given["stream"])


def _wrong_type(name: str, wanted: str, value: JsonValue) -> Refused:
    kind = {str: "a string", list: "an array", dict: "an object", bool: "a boolean"}.get(type(value), "a number")
    return Refused(f"Invalid type for '{name}': expected {wanted}, but got {kind} instead.", "invalid_type", name)


def _turn(turn: JsonValue) -> str:
    if not isinstance(turn, dict):
        raise Refused("Invalid type for 'messages[0]': expected an object.", "invalid_type", "messages[0]")
    return f"{turn.get('role')}: {text_of(turn.get('content'))}\n"
