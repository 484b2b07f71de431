"""What vLLM reads from a request and how it refuses one, with the real server's words.

Pure. First the form of every field, as its data model knows it, all faults at once; then what the fields mean together,
one fault. Fields that the double does not know are ignored, as the engine ignores them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

import msgspec

from conformance.engines.made_up import tokenize
from conformance.engines.openai_wire import Asked, text_of, texts_of

from .forms import NUMBERS, faults_of, missing, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter_api import JsonValue

    from .forms import Fault

    Given = Mapping[str, JsonValue]

_CHARACTERS_PER_TOKEN = 4  # a text with more is refused before it is cut into tokens
_DEFAULT_LIMIT = 16


class Refused(Exception):
    """The server refuses a request; `param` is the field at fault."""

    def __init__(self, message: str, status: int, kind: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message, self.status, self.kind, self.param = message, status, kind, param


def read_object(body: bytes, content_type: str, *, required: tuple[str, ...] = ()) -> dict[str, JsonValue]:
    """Return the JSON object in `body` with all its fields in form, or refuse as FastAPI does."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Refused(_bad("Unsupported Media Type: Only 'application/json' is allowed"), 400, "Bad Request")
    value = _read_json(body)
    faults = faults_of(value, required)
    if faults:
        raise _misformed(faults)
    return value


def read_chat(given: Given, served: str, max_model_len: int) -> Asked:
    """Return the completion that a chat asks for, or refuse it."""
    if given.get("stream_options") is not None and not given.get("stream"):
        raise _bad_request("Stream options can only be defined when `stream=True`.", "stream_options")
    if given.get("top_logprobs") and not given.get("logprobs"):
        raise _bad_request("when using `top_logprobs`, `logprobs` must be set to true.", "top_logprobs")
    check_model(given, served)
    messages = cast("list[JsonValue]", given["messages"])
    if not messages:
        raise _bad_request("Cannot apply chat template to an empty conversation. Provide at least one message.")
    prompt = "".join(_turn(message) for message in messages) + "<|assistant|>"
    return _asked(given, prompt, tokenize(prompt), max_model_len, default_limit=max_model_len)


def read_completion(given: Given, served: str, max_model_len: int) -> Asked:
    """Return the completion that a text asks for, or refuse it; of several prompts the first."""
    prompt = given.get("prompt")
    if prompt is None or prompt == "":
        raise _bad_request("Either prompt or prompt_embeds must be provided and non-empty.", "prompt")
    if given.get("stream_options") is not None and not given.get("stream"):
        raise _bad_request("Stream options can only be defined when `stream=True`.", "stream_options")
    check_model(given, served)
    if prompt == []:
        raise _bad_request("You must pass at least one prompt")
    text, tokens = _read_prompt(prompt)
    return _asked(given, text, tokens, max_model_len, default_limit=_DEFAULT_LIMIT)


def text_to_tokenize(given: Given) -> str:
    """Return the text that is to be cut into tokens: a prompt or messages, or refuse."""
    messages = given.get("messages")
    if "prompt" not in given and not isinstance(messages, list):
        raise _misformed([missing("prompt", given), missing("messages", given)])
    if isinstance(messages, list):
        return "".join(_turn(message) for message in messages) + "<|assistant|>"
    return str(given["prompt"])


def check_model(given: Given, served: str) -> None:
    """Refuse a model that is not served; none at all is the one that is."""
    model = given.get("model")
    if model not in (None, served):
        message = f"The model `{model}` does not exist. Valid aliases: {served}."
        raise Refused(message, 404, "NotFoundError", "model")


def read_inputs(given: Given, served: str) -> list[str]:
    """Return the texts to embed, or refuse; the form of this body is one of several."""
    if "input" not in given:
        raise _misformed([missing(field, given) for field in _WAYS_TO_EMBED])
    if given.get("model") not in (None, served):
        raise Refused(f"The model `{given['model']}` does not exist.", 404, "NotFoundError")
    return texts_of(given["input"])


_WAYS_TO_EMBED = ("input", "messages", "messages", "messages", "input", "messages", "input")
"""What each of the forms of a request for embeddings needs."""


def _asked(given: Given, prompt: str, tokens: tuple[int, ...], max_model_len: int, *, default_limit: int) -> Asked:
    _check_length(prompt, tokens, max_model_len)
    wanted = Asked(prompt, tokens, given, default_limit).limit
    if wanted > max_model_len:
        raise _bad_request(
            f"max_tokens={wanted} cannot be greater than max_model_len={max_model_len}. "
            "Please request fewer output tokens.",
            "max_tokens",
            wanted,
        )
    room = max_model_len - len(tokens)
    if min(wanted, room) < 1:
        raise _bad_request(f"max_tokens must be at least 1, got {min(wanted, room)}.", "max_tokens", min(wanted, room))
    _check_ranges(given)
    clamped = {name: min(wanted, room) for name in ("max_tokens", "max_completion_tokens") if name in given}
    return Asked(prompt, tokens, {**given, **clamped}, min(wanted, room))


def _check_length(prompt: str, tokens: tuple[int, ...], max_model_len: int) -> None:
    most = max_model_len * _CHARACTERS_PER_TOKEN
    limit = f"This model's maximum context length is {max_model_len} tokens. However, your prompt contains"
    if len(prompt) > most:
        raise _bad_request(
            f"{limit} {len(prompt)} characters (more than {most} characters, which is the upper bound for "
            f"{max_model_len} input tokens). Please reduce the length of the input prompt.",
            "input_text",
            len(prompt),
        )
    if len(tokens) > max_model_len:
        count = f"at least {max_model_len + 1}" if prompt else str(len(tokens))
        raise _bad_request(
            f"{limit} {count} input tokens, which exceeds this limit even without any output tokens. "
            "Please reduce the length of the input prompt.",
            "input_tokens",
            int(count.split()[-1]),
        )


def _check_ranges(given: Given) -> None:
    for name, is_right, words, is_named in _RANGES:
        value = given.get(name)
        if isinstance(value, int | float) and not is_right(value):
            shown = float(value) if name in NUMBERS else value
            message = f"{name} must {words}, got {shown}."
            raise _bad_request(message, name, shown) if is_named else _bad_request(message)


_RANGES: tuple[tuple[str, Callable[[float], bool], str, bool], ...] = (
    ("n", lambda n: n >= 1, "be at least 1", False),
    ("presence_penalty", lambda p: -2 <= p <= 2, "be in [-2, 2]", False),
    ("frequency_penalty", lambda p: -2 <= p <= 2, "be in [-2, 2]", False),
    ("repetition_penalty", lambda p: p > 0, "be greater than zero", False),
    ("temperature", lambda t: t >= 0, "be non-negative", True),
    ("temperature", lambda t: t <= 2, "be in [0, 2]", True),
    ("top_p", lambda p: 0 < p <= 1, "be in (0, 1]", True),
    ("top_k", lambda k: k >= -1, "be 0 (disable), or at least 1", False),
    ("min_p", lambda p: 0 <= p <= 1, "be in [0, 1]", False),
)
"""Field, what it may be, the words for it, and whether the refusal names the field and its value apart."""


def _bad_request(message: str, param: str | None = None, value: object = None) -> Refused:
    if param is not None:
        message += f" (parameter={param})" if value is None else f" (parameter={param}, value={value})"
    return Refused(message, 400, "BadRequestError", param)


def _read_json(body: bytes) -> dict[str, JsonValue]:
    if not body:
        raise _misformed([{"type": "missing", "loc": "body", "msg": "Field required", "input": "None"}])
    try:
        value: JsonValue = msgspec.json.decode(body)
    except ValueError as wrong:
        found = re.search(r"byte (\d+)", str(wrong))
        raise _misformed([
            {
                "type": "json_invalid",
                "loc": f"body.{found[1] if found else 0}",
                "msg": "JSON decode error",
                "input": shown({}),
                "ctx": {"error": "Expecting property name enclosed in double quotes"},
            }
        ]) from wrong
    if not isinstance(value, dict):
        words = "Input should be a valid dictionary or object to extract fields from"
        raise _misformed([{"type": "model_attributes_type", "loc": "body", "msg": words, "input": shown(value)}])
    return value


def _misformed(faults: list[Fault]) -> Refused:
    """Return the refusal that lists what is wrong with the form of a body."""
    lines = "\n  ".join(str(fault) for fault in faults)
    return Refused(_bad(lines, len(faults)), 400, "Bad Request", str(faults[0]["loc"]))


def _bad(lines: str, count: int = 1) -> str:
    return f"{count} validation error{'s' if count > 1 else ''}:\n  {lines}"


def _read_prompt(prompt: JsonValue) -> tuple[str, tuple[int, ...]]:
    if isinstance(prompt, list):
        if isinstance(prompt[0], int):
            return "", tuple(token for token in prompt if isinstance(token, int))
        return _read_prompt(prompt[0])
    text = str(prompt)
    return text, tokenize(text)


def _turn(message: JsonValue) -> str:
    if not isinstance(message, dict):
        return ""
    return f"<|{message.get('role')}|>{text_of(message.get('content'))}\n"
