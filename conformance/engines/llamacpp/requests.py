"""What llama.cpp reads from a request and how it refuses one, with the real server's words.

Pure. Fields that the double does not know are ignored, as the engine ignores them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec

from conformance.engines import made_up
from conformance.engines.openai_wire import strings_of, text_of, texts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter_api import JsonValue

_NUMBERS = (
    "n_predict",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
)
_BOOLEANS = ("stream", "cache_prompt", "return_tokens", "return_progress", "timings_per_token", "ignore_eos")
_TYPE_NAMES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)
_PROMPT_FORMS = (
    '"prompt" elements must be a string, a list of tokens, a JSON object containing a prompt string, or a list of '
    "mixed strings & tokens."
)


class Refused(Exception):
    """The server refuses a request; `more` holds further fields of the error object."""

    def __init__(self, message: str, status: int = 400, kind: str = "invalid_request_error", **more: JsonValue) -> None:
        super().__init__(message)
        self.message, self.status, self.kind, self.more = message, status, kind, more


@dataclass(frozen=True, slots=True)
class Completion:
    """A completion the server would start; `given` are the request's own fields."""

    prompt: str
    tokens: tuple[int, ...]
    given: Mapping[str, JsonValue]

    @property
    def is_stream(self) -> bool:
        return bool(self.given.get("stream"))

    @property
    def limit(self) -> int:
        """How many tokens may be made; -1 is as many as fit. 0 still makes one, like the engine."""
        names = ("n_predict", "max_completion_tokens", "max_tokens")
        limit = next((self.given[name] for name in names if self.given.get(name) is not None), None)
        return -1 if limit is None else max(int(cast("float", limit)), -1) or 1

    @property
    def stops(self) -> list[str]:
        """The stop strings."""
        return strings_of(self.given.get("stop"))

    @property
    def seed(self) -> int | None:
        """The seed as the engine stores it; None for a random one."""
        seed = int(cast("float", self.given.get("seed", -1))) % 2**32
        return None if seed == 2**32 - 1 else seed

    @property
    def has_usage(self) -> bool:
        """Whether a stream of chunks ends with one that holds nothing but the usage."""
        options = self.given.get("stream_options")
        return isinstance(options, dict) and bool(options.get("include_usage"))


def tokenize(text: str, *, adds_bos: bool = False) -> tuple[int, ...]:
    """Cut a text into made-up token ids: words with their leading space, and single signs."""
    return ((2,) if adds_bos else ()) + made_up.tokenize(text)


def read_object(body: bytes) -> dict[str, JsonValue]:
    """Return the JSON object in `body` or refuse as nlohmann's parser does."""
    value = _read(body)
    if not isinstance(value, dict):
        raise Refused(f"[json.exception.type_error.304] cannot use at() with {_type_name(value)}")
    return value


def _read(body: bytes) -> JsonValue:
    if not body:
        raise Refused(
            "[json.exception.parse_error.101] parse error at line 1, column 1: attempting to parse an empty input; "
            "check that your input string or stream contains the expected JSON"
        )
    try:
        value: JsonValue = msgspec.json.decode(body)
    except ValueError as wrong:
        raise Refused(
            f"[json.exception.parse_error.101] parse error at line 1, column {_column(str(wrong))}: "
            "syntax error while parsing object key - invalid literal; expected string literal"
        ) from wrong
    return value


def read_completion(body: bytes, n_ctx: int) -> Completion:
    """Return the completion that `body` asks for, or refuse it; `n_ctx` is what one slot holds."""
    given = read_object(body)
    if "prompt" not in given:
        raise Refused("[json.exception.out_of_range.403] key 'prompt' not found")
    prompt, tokens = _read_prompt(given["prompt"])
    return _completion(given, prompt, tokens, n_ctx)


def read_chat(body: bytes, n_ctx: int) -> Completion:
    """Return the completion that a chat asks for, or refuse it; `n_ctx` is what one slot holds."""
    given = _read(body)
    messages = given.get("messages") if isinstance(given, dict) else None
    if messages is None or not isinstance(given, dict):
        raise Refused("'messages' is required")
    if not isinstance(messages, list):
        raise Refused("Expected 'messages' to be an array")
    if given.get("top_logprobs") and not given.get("logprobs"):
        raise Refused("top_logprobs requires logprobs to be set to true")
    prompt = template(messages)
    return _completion(given, prompt, tokenize(prompt, adds_bos=True), n_ctx)


def _completion(given: Mapping[str, JsonValue], prompt: str, tokens: tuple[int, ...], n_ctx: int) -> Completion:
    _check_types(given)
    if _number(given, "repeat_penalty", 1.0) <= 0:
        raise Refused("Failed to initialize samplers: penalty_repeat must be finite and greater than 0")
    check_fits(len(tokens), n_ctx)
    return Completion(prompt, tokens, given)


def check_fits(tokens: int, n_ctx: int) -> None:
    """Refuse a prompt that fills the slot's context."""
    if tokens >= n_ctx:
        raise Refused(
            f"request ({tokens} tokens) exceeds the available context size ({n_ctx} tokens), try increasing it",
            kind="exceed_context_size_error",
            n_prompt_tokens=tokens,
            n_ctx=n_ctx,
        )


def apply_template(body: bytes) -> str:
    """Return the messages in ChatML, or refuse them."""
    messages = read_object(body).get("messages")
    if not isinstance(messages, list):
        raise Refused("'messages' is required")
    return template(messages)


def template(messages: Sequence[JsonValue]) -> str:
    """Return the messages in ChatML with the beginning of an answer, or refuse them."""
    return "".join(_turn(message) for message in messages) + "<|im_start|>assistant\n"


def read_inputs(body: bytes) -> tuple[list[str], Mapping[str, JsonValue]]:
    """Return the texts to embed and the request's own fields, or refuse."""
    given = read_object(body)
    inputs = given.get("input", given.get("content"))
    if inputs is None:
        raise Refused('"input" or "content" must be provided')
    if given.get("encoding_format") not in (None, "float", "base64"):
        raise Refused("The format to return the embeddings in. Can be either float or base64")
    if not isinstance(inputs, str | list):
        raise Refused(_PROMPT_FORMS)
    if not inputs:
        raise Refused('"input" must not be empty')
    return texts_of(inputs), given


def read_rerank(body: bytes) -> tuple[str, list[str]]:
    """Return the query and the documents, or refuse."""
    given = read_object(body)
    if "query" not in given:
        raise Refused('"query" must be provided')
    documents = given.get("documents")
    if not isinstance(documents, list) or not documents:
        raise Refused('"documents" must be a non-empty string array')
    return str(given["query"]), [str(document) for document in documents]


def _read_prompt(prompt: JsonValue) -> tuple[str, tuple[int, ...]]:
    if isinstance(prompt, str):
        return prompt, tokenize(prompt, adds_bos=True)
    if isinstance(prompt, list) and prompt:
        texts = [part for part in prompt if isinstance(part, str)]
        ids = tuple(part for part in prompt if isinstance(part, int))
        return "".join(texts), ids + tokenize("".join(texts))
    raise Refused(_PROMPT_FORMS)


def _check_types(given: Mapping[str, JsonValue]) -> None:
    for name in _NUMBERS:
        if not isinstance(given.get(name), int | float | None):  # true and false count as numbers there
            raise _wrong_type(name, "number", given[name])
    for name in _BOOLEANS:
        if not isinstance(given.get(name), bool | None):
            raise _wrong_type(name, "boolean", given[name])
    stop = given.get("stop")
    wrong = [word for word in stop if not isinstance(word, str)] if isinstance(stop, list) else []
    if wrong:
        raise _wrong_type("stop", "string", wrong[0])


def _wrong_type(name: str, wanted: str, value: JsonValue) -> Refused:
    return Refused(f"Field '{name}': [json.exception.type_error.302] type must be {wanted}, but is {_type_name(value)}")


def _type_name(value: JsonValue) -> str:
    return next((name for kind, name in _TYPE_NAMES if isinstance(value, kind)), "null")


def _number(given: Mapping[str, JsonValue], name: str, default: float) -> float:
    value = given.get(name)
    return default if value is None else float(cast("float", value))


def _turn(message: JsonValue) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if content is None or not isinstance(message, dict):
        raise Refused("All non-assistant messages must contain 'content'")
    if "role" not in message:
        shown = msgspec.json.encode(message).decode()
        raise Refused(f"Failed to parse messages: Missing 'role' in message: {shown}", 500, "server_error")
    return f"<|im_start|>{message['role']}\n{text_of(content)}<|im_end|>\n"


def _column(message: str) -> int:
    found = re.search(r"byte (\d+)", message)
    return int(found[1]) + 1 if found else 1
