"""What TGI reads from a request.

Pure. Three layers refuse, in this order: the one that reads JSON (plain text), the chat template (`template_error`),
and the validation of a generation (`validation.py`). Fields that the double does not know are ignored, as the router
ignores them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from msgspec import Meta

from conformance.engines.received import as_received, json_object

from .tokens import BOS_TEXT, EOS_TEXT, ids, tokenize
from .validation import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter_api import JsonValue
    from conformance.engines.http1 import SeenRequest
    from conformance.engines.received import Received

T = TypeVar("T")

U32 = Annotated[int, Meta(ge=0, lt=2**32)]
U64 = Annotated[int, Meta(ge=0)]
I32 = Annotated[int, Meta(ge=-(2**31), lt=2**31)]

DEFAULT_NEW_TOKENS = 100
BASE_MODEL = "tgi"


_OFF: Mapping[str, JsonValue] = {
    "top_p": 1,
    "top_k": 0,
    "min_p": 0,
    "repeat_penalty": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
}
_GREEDY: Mapping[str, JsonValue] = {"temperature": 0, **_OFF}
_DRAWN: Mapping[str, JsonValue] = {"temperature": 1, **_OFF}


class Refused(Exception):
    """The layer before the router refuses a body: plain text with a status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """`GenerateParameters`: null and absent are the same."""

    best_of: U64 | None = None
    temperature: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    top_k: I32 | None = None
    top_p: float | None = None
    typical_p: float | None = None
    do_sample: bool = False
    max_new_tokens: U32 | None = DEFAULT_NEW_TOKENS
    return_full_text: bool | None = None
    stop: list[str] = []
    truncate: U64 | None = None
    details: bool = False
    decoder_input_details: bool = False
    seed: U64 | None = None
    top_n_tokens: U32 | None = None
    adapter_id: str | None = None

    def __post_init__(self) -> None:
        if self.seed is not None and self.seed >= 2**64:
            raise ValueError(f"invalid value: integer `{self.seed}`, expected u64")

    @property
    def draws(self) -> bool:
        """Whether a token is drawn: because that is asked for, or because the distribution is changed."""
        return self.do_sample or self.temperature not in {None, 1.0} or bool(self.top_k or self.top_p or self.typical_p)


class _Native(msgspec.Struct, frozen=True, kw_only=True):
    inputs: str
    parameters: Parameters = Parameters(do_sample=True)
    stream: bool = False


class _StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool


class _Message(msgspec.Struct, frozen=True):
    role: str
    content: str | list[dict[str, object]] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class _OpenAi(msgspec.Struct, frozen=True, kw_only=True):
    model: str | None = None
    max_tokens: U32 | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    stop: list[str] | None = None
    seed: U64 | None = None
    stream: bool = False

    def parameters(self, repetition_penalty: float | None) -> Parameters:
        """Return what the router makes of it: greedy only for temperature 0."""
        is_greedy = self.temperature == 0
        return Parameters(
            temperature=None if is_greedy else self.temperature,
            do_sample=not is_greedy,
            top_p=self.top_p,
            repetition_penalty=repetition_penalty,
            frequency_penalty=self.frequency_penalty,
            max_new_tokens=DEFAULT_NEW_TOKENS if self.max_tokens is None else self.max_tokens,
            stop=self.stop or [],
            seed=self.seed,
            details=True,
            adapter_id=None if self.model == BASE_MODEL else self.model,
        )


class _Chat(_OpenAi, frozen=True, kw_only=True):
    messages: list[_Message]
    presence_penalty: float | None = None
    stream_options: _StreamOptions | None = None


class _Completion(_OpenAi, frozen=True, kw_only=True):
    prompt: str | list[str]
    repetition_penalty: float | None = None
    suffix: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation that a client asks for; `tokens` are those of the prompt."""

    prompt: str
    tokens: tuple[int, ...]
    parameters: Parameters
    is_stream: bool
    wants_usage: bool = False

    @property
    def limit(self) -> int:
        """How many tokens may be made."""
        limit = self.parameters.max_new_tokens
        return DEFAULT_NEW_TOKENS if limit is None else limit

    @property
    def echo(self) -> str:
        """What is put before the generated text."""
        return self.prompt if self.parameters.return_full_text else ""


def received_by(request: SeenRequest) -> Received:
    """Return a request in neutral words.

    The native routes take the likeliest token each time unless they are told to draw; the others draw by default.
    """
    given = json_object(request.body)
    if "inputs" not in given:
        return as_received(request, given, _DRAWN)
    parameters = given.get("parameters")
    told: dict[str, JsonValue] = dict(parameters) if isinstance(parameters, dict) else {"do_sample": True}
    if told.get("do_sample") and not any(told.get(name) for name in ("temperature", "top_p", "top_k", "typical_p")):
        told["temperature"] = 1
    return as_received(request, {**given, "parameters": told}, _GREEDY)


def read_native(body: bytes, content_type: str, *, is_stream: bool | None) -> Generation:
    """Return what a native body asks for; with `is_stream` None its own field decides."""
    given = _read(body, content_type, _Native)
    tokens = ids(tokenize(given.inputs, adds_bos=True))
    return Generation(given.inputs, tokens, given.parameters, given.stream if is_stream is None else is_stream)


def with_default_echo(asked: Generation, *, echo: bool) -> Generation:
    """Return the same generation, with the prompt before its text if that is the default and nothing else was said."""
    if asked.parameters.return_full_text is not None:
        return asked
    return replace(asked, parameters=msgspec.structs.replace(asked.parameters, return_full_text=echo))


def read_completion(body: bytes, content_type: str) -> Generation:
    """Return what a body of `/v1/completions` asks for; of several prompts only one is played."""
    given = _read(body, content_type, _Completion)
    if given.suffix is not None:
        raise Invalid(
            "Suffix is not supported and can be achieved by preprocessing the prompt.", "suffix not supported"
        )
    prompt = given.prompt if isinstance(given.prompt, str) else "".join(given.prompt[:1])
    tokens = ids(tokenize(prompt, adds_bos=True))
    return Generation(prompt, tokens, given.parameters(given.repetition_penalty), given.stream)


def read_chat(body: bytes, content_type: str, *, has_template: bool) -> Generation:
    """Return what a body of `/v1/chat/completions` asks for, with the template applied and no token added."""
    given = _read(body, content_type, _Chat)
    prompt = _templated(given.messages, has_template=has_template)
    penalty = None if given.presence_penalty is None else given.presence_penalty + 2.0
    options = given.stream_options
    return Generation(
        prompt,
        ids(tokenize(prompt, adds_bos=False)),
        given.parameters(penalty),
        given.stream,
        wants_usage=options is not None and options.include_usage,
    )


def _templated(messages: Sequence[_Message], *, has_template: bool) -> str:
    """Return the messages as the model's template writes them, which refuses roles that it does not know."""
    if not has_template:
        raise Invalid("Template error: template not found", "template_error")
    for message in messages:
        if message.role not in {"system", "user", "assistant", "tool"}:
            raise Invalid(
                f"Template error: invalid operation: unknown role {message.role} (in <string>:1)", "template_error"
            )
    turns = "".join(f"[{message.role}] {message.text}{EOS_TEXT}\n" for message in messages)
    return f"{BOS_TEXT}{turns}[assistant]"


def _read(body: bytes, content_type: str, kind: type[T]) -> T:
    if not content_type.startswith("application/json"):
        raise Refused(415, "Expected request with `Content-Type: application/json`")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as wrong:
        text = f"Failed to deserialize the JSON body into the target type: {wrong} at line 1 column {len(body)}"
        raise Refused(422, text) from wrong
    except msgspec.DecodeError as wrong:
        raise Refused(400, f"Failed to parse the request body as JSON: {wrong}") from wrong
