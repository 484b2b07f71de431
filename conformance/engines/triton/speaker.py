"""What a text model says, in its dialect: the prompt it was given, and its responses as tensors.

Delta dialects give each piece as it comes, cumulative ones all text so far. A request that does not stream gets one
response. The classic pipelines have no finish reason at all; the others tell it where it was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final
from zlib import crc32

import msgspec

from conformance.engines import made_up
from conformance.engines.openai_wire import strings_of

from .failures import Code, Refused
from .models import VLLM
from .tensors import Tensor, scalar, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue
    from conformance.engines.script import Usage

    from .models import Dialect
    from .requests import InferRequest

_WORDS = ("the", "river", "runs", "past", "a", "quiet", "mill", "and", "over", "smooth", "stones", "café", "—", "漢字")
_REASONS = {"stop": "stop", "stop_string": "stop", "length": "length"}
_VLLM_FAULT = "Error generating stream: 'NoneType' object has no attribute 'lora_name'"
_TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/models/{model}/1/model.py", line 108, in execute\n'
    "    for res in res_gen:\n"
    '  File "/models/{model}/1/lib/decode.py", line 219, in decode\n'
    "    request.validate()\n"
    "lib.decode.RequestValidationError: {text}\n"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A text request as the model understands it; `options` are further sampling parameters of the vLLM backend."""

    prompt: str
    limit: int
    seed: int | None
    is_stream: bool
    echoes: bool
    options: Mapping[str, JsonValue]
    stops: tuple[str, ...] = ()

    @property
    def tokens_in(self) -> int:
        """How many tokens the prompt has: made up, one a word."""
        return max(1, len(self.prompt.split()))


def read_asked(request: InferRequest, dialect: Dialect, max_input: int) -> Asked:
    """Return what is asked; raise `Refused` as the model does, which is not the server."""
    options = _vllm_options(request) if dialect is VLLM else {}
    is_stream = request.flag(dialect.stream)
    asked = Asked(
        prompt=request.text("text_input"),
        limit=_limit(request, dialect, options),
        seed=_seed(request, dialect, options),
        is_stream=is_stream,
        echoes=_echoes(request, dialect, is_stream=is_stream),
        options=options,
        stops=_stops(request, dialect, options),
    )
    if asked.tokens_in > max_input:
        raise Refused(_TOO_LONG.format(asked.tokens_in, max_input), Code.INTERNAL)
    if is_stream and not request.model.is_decoupled:
        raise Refused("Streaming is only supported in decoupled mode.", Code.INTERNAL)
    return asked


_TOO_LONG = (
    "Encountered an error when fetching new request: Prompt length ({}) exceeds maximum input length ({}). Set log "
    "level to info and check TRTGptModel logs for how maximum input length is set"
)


@final
class Speaker:
    """The responses to one request; `usage` are counts to tell, all in the last response, in place of the true ones."""

    def __init__(self, request: InferRequest, dialect: Dialect, asked: Asked, usage: Usage | None = None) -> None:
        self._request = request
        self._dialect = dialect
        self._usage = usage
        self._said = asked.prompt if asked.echoes else ""
        self._counted = 0
        self.asked = asked
        self.responses = 0

    @property
    def has_last_response(self) -> bool:
        """Whether a stream needs one more response at its end: for a reason, a count, or because there was none."""
        return self._dialect.has_finish_reason or not self.responses or self._usage is not None

    def piece(self, words: str, tokens: int) -> tuple[Tensor, ...]:
        """Return the response that says these words."""
        self.hear(words, tokens)
        return self._response(self._said if self._dialect.is_cumulative else words, "")

    def hear(self, words: str, tokens: int) -> None:
        """Keep words for the one response of a request that does not stream."""
        self._said += words
        self._counted += 0 if self._usage else tokens

    def last(self, reason: str) -> tuple[Tensor, ...]:
        """Return the last response."""
        whole = self._dialect.is_cumulative or not self.asked.is_stream
        self._counted += self._usage.tokens_out if self._usage else 0
        return self._response(self._said if whole else "", _REASONS.get(reason, "of_its_own"))

    def _response(self, words: str, reason: str) -> tuple[Tensor, ...]:
        self.responses += 1
        outputs = [text("text_output", words), *self._counts()]
        if self._dialect.has_finish_reason and self._request.flag("return_finish_reason"):
            outputs += self._reason(reason)
        if self._dialect.name in {"classic", "bls"}:
            outputs += [scalar(name, "INT32", 0) for name in ("batch_index", "sequence_index")]
        return tuple(outputs)

    def _reason(self, reason: str) -> list[Tensor]:
        """The vLLM backend writes `str(None)` until the end; TensorRT-LLM leaves the output out."""
        if self._dialect is VLLM:
            return [text("finish_reason", reason or "None")]
        return [text("finish_reason", reason)] if reason else []

    def _counts(self) -> list[Tensor]:
        """Counts are those of one response, not of all so far."""
        if not self._dialect.has_counts:
            return []
        datatype = "UINT32" if self._dialect is VLLM else "INT32"
        tokens_in = self._usage.tokens_in if self._usage else self.asked.tokens_in
        counts = {"num_input_tokens": tokens_in, "num_output_tokens": self._counted}
        self._counted = 0
        return [scalar(name, datatype, value) for name, value in counts.items() if self._request.flag(f"return_{name}")]

    def answer(self) -> tuple[list[str], str]:
        """Return made-up words, the same for the same seed, and why they end."""
        return made_up.answer(map(self._word, range(self.asked.limit)), self.asked.stops)

    def _word(self, number: int) -> str:
        dice = crc32(f"{self.asked.prompt}/{self.asked.seed}/{number}".encode())
        return " " + _WORDS[dice % len(_WORDS)]


def _limit(request: InferRequest, dialect: Dialect, options: Mapping[str, JsonValue]) -> int:
    given = request.value(dialect.limit) if dialect is not VLLM else _number(options.get("max_tokens"))
    limit = dialect.default_limit if given is None else int(given)
    if limit is None or (limit <= 0 and not dialect.takes_no_tokens):
        raise Refused(_limit_fault(request, dialect), Code.INTERNAL)
    return limit


def _limit_fault(request: InferRequest, dialect: Dialect) -> str:
    if dialect is VLLM:
        return _VLLM_FAULT
    if dialect.name == "llmapi":
        return f"Error generating request: max_tokens must be a positive number (model '{request.model.name}')"
    return _TRACEBACK.format(model=request.model.name, text="max_tokens must be a single value > 0")


def _seed(request: InferRequest, dialect: Dialect, options: Mapping[str, JsonValue]) -> int | None:
    given = request.value(dialect.seed) if dialect is not VLLM else _number(options.get("seed"))
    return None if given is None else int(given)


def _stops(request: InferRequest, dialect: Dialect, options: Mapping[str, JsonValue]) -> tuple[str, ...]:
    if dialect is VLLM:
        return tuple(strings_of(options.get("stop")))
    return request.inputs[dialect.stop].texts if dialect.stop in request.inputs else ()


def _number(value: JsonValue) -> int | float | None:
    return value if isinstance(value, int | float) else None


def _echoes(request: InferRequest, dialect: Dialect, *, is_stream: bool) -> bool:
    """Return whether the prompt stands before the answer."""
    if dialect is VLLM:
        excludes = request.flag(dialect.exclude, default=is_stream)
        if is_stream and not excludes:
            raise Refused("When streaming, `exclude_input_in_output` = False is not allowed.", Code.INTERNAL)
        return not excludes
    if is_stream and not dialect.echoes_in_stream:
        return False
    return not request.flag(dialect.exclude)


def _vllm_options(request: InferRequest) -> Mapping[str, JsonValue]:
    """Return vLLM's sampling parameters: the JSON text, then scalars that are no inputs."""
    raw = request.text("sampling_parameters")
    try:
        given = msgspec.json.decode(raw) if raw else {}
    except msgspec.DecodeError as wrong:
        raise Refused(_VLLM_FAULT, Code.INTERNAL) from wrong
    options: dict[str, JsonValue] = {**given, **request.parameters} if isinstance(given, dict) else {}
    temperature = _number(options.get("temperature"))
    if not isinstance(given, dict) or (temperature is not None and temperature < 0):
        raise Refused(_VLLM_FAULT, Code.INTERNAL)
    return options
