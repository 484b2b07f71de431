"""The models in the repository of the double: what each takes, what it gives, and the dialect it speaks.

Four generate text: the classic TensorRT-LLM pipeline, its BLS variant, the LLM-API model, and a vLLM backend. The rest
are plain functions from tensors to tensors. Which dialect a model speaks shows in the names of its inputs, and a field
that is none of them is ignored without a word, as in the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from .tensors import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Function = Callable[[Mapping[str, Tensor]], tuple[Tensor, ...]]

PERMANENT_VERSION = "1"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output; a batch dimension is not part of `dims`."""

    name: str
    datatype: str
    dims: tuple[int, ...] = (1,)
    optional: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a model that generates text is talked to.

    The fields name inputs: how many tokens at most (`default_limit` if absent; None where it is required), whether to
    stream, the seed, the stop strings, whether to leave the prompt out. `is_cumulative` repeats all text so far in each
    response. `echoes_in_stream` puts the prompt in front also while streaming. `has_finish_reason` and `has_counts` are
    what a request can ask for. A limit of no tokens is an error unless `takes_no_tokens`.
    """

    name: str
    limit: str
    default_limit: int | None
    stream: str
    seed: str
    exclude: str
    stop: str = "stop_words"
    is_cumulative: bool = False
    echoes_in_stream: bool = False
    has_finish_reason: bool = False
    has_counts: bool = False
    takes_no_tokens: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model; `function` computes where `dialect` is None. `sources` are inner models, and hidden from nobody."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    platform: str = ""
    backend: str = "python"
    max_batch: int = 0
    is_decoupled: bool = False
    dialect: Dialect | None = None
    function: Function | None = None
    parameters: tuple[tuple[str, str], ...] = ()

    def input(self, name: str) -> TensorSpec | None:
        """Return the input of this name, if there is one."""
        return next((spec for spec in self.inputs if spec.name == name), None)

    def shape(self, spec: TensorSpec) -> tuple[int, ...]:
        """Return the shape as metadata shows it, with the batch dimension in front where there is one."""
        return (-1, *spec.dims) if self.max_batch else spec.dims


def _specs(datatype: str, *names: str) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name, datatype) for name in names)


def _required(datatype: str, name: str) -> TensorSpec:
    return TensorSpec(name, datatype, optional=False)


CLASSIC = Dialect(
    name="classic",
    limit="max_tokens",
    default_limit=None,
    stream="stream",
    seed="seed",
    exclude="exclude_input_in_output",
    has_counts=True,
)
BLS = Dialect(
    name="bls",
    limit="max_tokens",
    default_limit=None,
    stream="stream",
    seed="seed",
    exclude="exclude_input_in_output",
    is_cumulative=True,
    has_counts=True,
)
LLM_API = Dialect(
    name="llmapi",
    limit="sampling_param_max_tokens",
    default_limit=32,
    stream="streaming",
    seed="sampling_param_seed",
    exclude="sampling_param_exclude_input_from_output",
    stop="sampling_param_stop",
    is_cumulative=True,
    echoes_in_stream=True,
    has_finish_reason=True,
)
VLLM = Dialect(
    name="vllm",
    limit="max_tokens",
    default_limit=16,
    stream="stream",
    seed="seed",
    exclude="exclude_input_in_output",
    has_finish_reason=True,
    has_counts=True,
)

_CLASSIC_INPUTS = (
    _required("BYTES", "text_input"),
    _required("INT32", "max_tokens"),
    *_specs("BYTES", "bad_words", "stop_words"),
    *_specs("BOOL", "exclude_input_in_output", "stream", "return_log_probs", "return_context_logits"),
    *_specs("BOOL", "return_generation_logits", "return_num_input_tokens", "return_num_output_tokens"),
    *_specs("INT32", "end_id", "pad_id", "top_k", "min_tokens", "beam_width", "num_return_sequences"),
    *_specs("FP32", "temperature", "top_p", "length_penalty", "repetition_penalty"),
    *_specs("FP32", "presence_penalty", "frequency_penalty"),
    *_specs("UINT64", "seed"),
)
_CLASSIC_OUTPUTS = (
    TensorSpec("text_output", "BYTES", (-1,)),
    TensorSpec("cum_log_probs", "FP32", (-1,)),
    TensorSpec("output_log_probs", "FP32", (-1, -1)),
    *_specs("INT32", "batch_index", "sequence_index", "num_input_tokens", "num_output_tokens"),
)
_STOP = TensorSpec("stop", "BOOL")


def classic(name: str = "ensemble", *, can_stop: bool = True) -> Model:
    """Return the ensemble of the classic TensorRT-LLM pipeline."""
    stop = (_STOP,) if can_stop else ()
    return Model(
        name=name,
        inputs=(*_CLASSIC_INPUTS, *stop),
        outputs=_CLASSIC_OUTPUTS,
        platform="ensemble",
        backend="",
        max_batch=64,
        is_decoupled=True,
        dialect=CLASSIC,
    )


def core(name: str = "tensorrt_llm") -> Model:
    """Return the inner model of the classic pipeline: it speaks token ids and is asked here only to stop a request."""
    return Model(
        name=name,
        inputs=(
            TensorSpec("input_ids", "INT32", (-1,)),
            *_specs("INT32", "input_lengths", "request_output_len"),
            *_specs("BOOL", "streaming", "stop"),
        ),
        outputs=(TensorSpec("output_ids", "INT32", (-1, -1)), TensorSpec("sequence_length", "INT32", (-1,))),
        backend="tensorrtllm",
        max_batch=64,
        is_decoupled=True,
        function=lambda _inputs: (),
    )


def bls(name: str = "tensorrt_llm_bls") -> Model:
    """Return the BLS model with `accumulate_tokens`; it cannot stop a request by its id."""
    return Model(
        name=name,
        inputs=_CLASSIC_INPUTS,
        outputs=_CLASSIC_OUTPUTS,
        max_batch=64,
        is_decoupled=True,
        dialect=BLS,
        parameters=(("accumulate_tokens", "true"),),
    )


def llm_api(name: str = "tensorrt_llm") -> Model:
    """Return the LLM-API model, which is what TensorRT-LLM's documents start with."""
    return Model(
        name=name,
        inputs=(
            _required("BYTES", "text_input"),
            *_specs("BOOL", "streaming", "return_finish_reason", "return_stop_reason", "return_cumulative_logprob"),
            *_specs("INT32", "sampling_param_best_of", "sampling_param_top_k", "sampling_param_max_tokens"),
            *_specs("FP32", "sampling_param_top_p", "sampling_param_temperature"),
            *_specs("FP32", "sampling_param_frequency_penalty", "sampling_param_presence_penalty"),
            *_specs("BYTES", "sampling_param_stop"),
            *_specs("UINT64", "sampling_param_seed"),
            *_specs("BOOL", "sampling_param_exclude_input_from_output", "sampling_param_return_perf_metrics"),
        ),
        outputs=(
            TensorSpec("text_output", "BYTES", (-1,)),
            *(TensorSpec(name, "BYTES", (-1,)) for name in ("finish_reason", "stop_reason")),
            TensorSpec("cumulative_logprob", "FP32", (-1,)),
        ),
        is_decoupled=True,
        dialect=LLM_API,
    )


def vllm(name: str = "vllm_model") -> Model:
    """Return a model of the vLLM backend."""
    return Model(
        name=name,
        inputs=(
            _required("BYTES", "text_input"),
            *_specs("BOOL", "stream"),
            *_specs("BYTES", "sampling_parameters"),
            *_specs("BOOL", "exclude_input_in_output", "return_finish_reason", "return_cumulative_logprob"),
            *_specs("BOOL", "return_num_input_tokens", "return_num_output_tokens"),
        ),
        outputs=(
            *(TensorSpec(name, "BYTES", (-1,)) for name in ("text_output", "finish_reason")),
            TensorSpec("cumulative_logprob", "FP32", (-1,)),
            *(TensorSpec(name, "UINT32", (-1,)) for name in ("num_input_tokens", "num_output_tokens")),
        ),
        backend="vllm",
        is_decoupled=True,
        dialect=VLLM,
    )


def identity(name: str = "identity") -> Model:
    """Return a model that gives back what it is given: text and numbers."""
    return Model(
        name=name,
        inputs=(TensorSpec("TEXT", "BYTES", (-1,)), TensorSpec("NUMBERS", "FP32", (-1,))),
        outputs=(TensorSpec("TEXT_OUT", "BYTES", (-1,)), TensorSpec("NUMBERS_OUT", "FP32", (-1,))),
        function=lambda inputs: tuple(
            Tensor(f"{tensor.name}_OUT", tensor.datatype, tensor.shape, tensor.values) for tensor in inputs.values()
        ),
    )


def embedder(name: str = "embedding") -> Model:
    """Return a model that gives a vector for each text."""
    return Model(
        name=name,
        inputs=(TensorSpec("text_input", "BYTES", (1,), optional=False),),
        outputs=(TensorSpec("embedding", "FP32", (8,)),),
        max_batch=64,
        function=_embed,
    )


def ranker(name: str = "ranking") -> Model:
    """Return a model that scores each document against its query."""
    return Model(
        name=name,
        inputs=tuple(TensorSpec(name, "BYTES", (1,), optional=False) for name in ("query", "document")),
        outputs=(TensorSpec("score", "FP32", (1,)),),
        max_batch=64,
        function=_rank,
    )


def _embed(inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    texts = inputs["text_input"].texts
    numbers = tuple((crc32(f"{n}{text}".encode()) % 2001 - 1000) / 1000 for text in texts for n in range(8))
    return (Tensor("embedding", "FP32", (len(texts), 8), numbers),)


def _rank(inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    queries, documents = inputs["query"].texts, inputs["document"].texts
    scores = tuple(_score(*pair) for pair in zip(queries * len(documents), documents, strict=False))
    return (Tensor("score", "FP32", (len(documents), 1), scores),)


def _score(query: str, document: str) -> float:
    """Return how many words two texts share, with a fraction that keeps scores apart."""
    shared = set(query.lower().split()) & set(document.lower().split())
    return len(shared) + crc32(document.encode()) % 1000 / 1000


GENERATORS: Mapping[str, Callable[[str, bool], tuple[Model, ...]]] = {
    "classic": lambda name, can_stop: (
        classic(name or "ensemble", can_stop=can_stop),
        *((core(),) if can_stop else ()),
    ),
    "bls": lambda name, _can_stop: (bls(name or "tensorrt_llm_bls"),),
    "llmapi": lambda name, _can_stop: (llm_api(name or "tensorrt_llm"),),
    "vllm": lambda name, _can_stop: (vllm(name or "vllm_model"),),
}
"""Dialect -> the models that a server set up for it has: called with a name, or none, and whether to stop by id."""
