"""How a model is talked to: which of its inputs means what, for each of the three backends.

Pure. The engine ignores an input that it does not know, so everything is looked up in the model's metadata first: what
the model has no input for and the request asks for is refused, by name; what is only nice to have is left out.

Implements: OC-ADAPT-5060.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapter_api import AdapterError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from adapter_api import TaskRequest

Input = bool | int | float | str | list[str]

_SEED_BITS = 64
_VLLM_SEEDS = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The names of a model's inputs.

    `sampling` maps our sampling fields to inputs, or to keys of the JSON in the input `json_input`. `always` is sent
    with every request where the model has such an input. `counts_are_cumulative` says whether a response counts all
    tokens so far; `finish_reason` is the input that makes the model tell one.
    """

    name: str
    prompt: str = "text_input"
    stream: str = "stream"
    max_tokens: str = "max_tokens"
    seeds: tuple[str, ...] = ("seed",)
    sampling: Mapping[str, str] = field(default_factory=dict)
    json_input: str | None = None
    always: Mapping[str, Input] = field(default_factory=dict)
    is_cumulative: bool = False
    tells_finish_reason: bool = False


_FINISH_REASON = "return_finish_reason"
TRTLLM = Dialect(
    name="trtllm",
    seeds=("seed", "random_seed"),
    sampling={
        "temperature": "temperature",
        "top_p": "top_p",
        "top_k": "top_k",
        "repeat_penalty": "repetition_penalty",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "stop": "stop_words",
    },
    always={"exclude_input_in_output": True, "return_num_input_tokens": True, "return_num_output_tokens": True},
)
LLMAPI = Dialect(
    name="llmapi",
    stream="streaming",
    max_tokens="sampling_param_max_tokens",
    seeds=("sampling_param_seed",),
    sampling={
        "temperature": "sampling_param_temperature",
        "top_p": "sampling_param_top_p",
        "top_k": "sampling_param_top_k",
        "presence_penalty": "sampling_param_presence_penalty",
        "frequency_penalty": "sampling_param_frequency_penalty",
        "stop": "sampling_param_stop",
    },
    always={"sampling_param_exclude_input_from_output": True, _FINISH_REASON: True},
    is_cumulative=True,
    tells_finish_reason=True,
)
VLLM = Dialect(
    name="vllm",
    sampling={
        "temperature": "temperature",
        "top_p": "top_p",
        "top_k": "top_k",
        "min_p": "min_p",
        "repeat_penalty": "repetition_penalty",
        "presence_penalty": "presence_penalty",
        "frequency_penalty": "frequency_penalty",
        "stop": "stop",
    },
    json_input="sampling_parameters",
    always={
        "exclude_input_in_output": True,
        _FINISH_REASON: True,
        "return_num_input_tokens": True,
        "return_num_output_tokens": True,
    },
    tells_finish_reason=True,
)
DIALECTS = {dialect.name: dialect for dialect in (TRTLLM, LLMAPI, VLLM)}


def dialect_of(inputs: Collection[str]) -> Dialect:
    """Return the dialect that a model with these inputs speaks; raise `AdapterError` if it is none of ours."""
    for dialect, sign in ((VLLM, VLLM.json_input), (LLMAPI, LLMAPI.max_tokens), (TRTLLM, TRTLLM.max_tokens)):
        if sign in inputs and dialect.prompt in inputs:
            return dialect
    raise AdapterError("completion: the model has the inputs of no known dialect")


def tells_finish_reason(dialect: Dialect, inputs: Collection[str]) -> bool:
    """Whether a model can be made to tell how it came to its end."""
    return dialect.tells_finish_reason and _FINISH_REASON in inputs


def takes_seed(inputs: Collection[str]) -> bool:
    """Whether a request can say which seed to use."""
    return any(name in inputs for dialect in DIALECTS.values() for name in (dialect.json_input, *dialect.seeds))


def features(inputs: Collection[str]) -> frozenset[str]:
    """Return what can be asked of the model, in the words of `Capabilities`."""
    stops = (VLLM.json_input, TRTLLM.sampling["stop"], LLMAPI.sampling["stop"])
    given = {"cancel": True, "seed": takes_seed(inputs), "stop": any(name in inputs for name in stops)}
    return frozenset(name for name, has in given.items() if has)


def engine_seed(dialect: Dialect, seed: int) -> int:
    """Return any integer as a seed that the model can keep; those it can keep are not changed."""
    return seed % (_VLLM_SEEDS if dialect.json_input else 2**_SEED_BITS)


def completion(
    request: TaskRequest, dialect: Dialect, inputs: Collection[str], *, seed: int, stream: bool
) -> dict[str, Input]:
    """Return what each input gets; raise `AdapterError` for what the model cannot be asked.

    `inputs` are the names that the model has.
    """
    if request.messages:
        raise AdapterError("completion: the engine has no chat template; send a `prompt`", blames_request=True)
    fields: dict[str, Input] = {name: value for name, value in dialect.always.items() if name in inputs}
    fields[_needed(dialect.prompt, inputs)] = request.prompt
    if stream:
        fields[_needed(dialect.stream, inputs)] = True
    if dialect.json_input is not None:
        fields[_needed(dialect.json_input, inputs)] = _as_json(request, dialect, seed)
        return fields
    fields[_needed(dialect.max_tokens, inputs)] = request.max_tokens
    seed_input = next((name for name in dialect.seeds if name in inputs), None)
    if seed_input is not None:
        fields[seed_input] = engine_seed(dialect, seed)
    elif request.seed is not None:
        raise _cannot("seed")
    return fields | _sampling(request, dialect, inputs)


def stop(inputs: Collection[str]) -> dict[str, Input]:
    """Return what each input of a model gets that is asked to stop another request; raise `AdapterError`."""
    _needed("stop", inputs)
    return {name: value for name, value in _STOP.items() if name in inputs}


_STOP: Mapping[str, Input] = {
    "stop": True,
    "stream": True,
    "streaming": True,
    "text_input": "",
    "max_tokens": 1,
    "input_ids": 0,
    "input_lengths": 0,
    "request_output_len": 0,
}
"""Beside `stop`, what some model calls required and does not look at."""


def _needed(name: str, inputs: Collection[str]) -> str:
    if name not in inputs:
        raise AdapterError(f"completion: the model has no input {name!r}")
    return name


def _given(request: TaskRequest) -> dict[str, Input]:
    """Return the sampling fields that the request sets."""
    sampling = request.sampling
    fields: dict[str, Input | None] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "repeat_penalty": sampling.repeat_penalty,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "stop": list(sampling.stop) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _sampling(request: TaskRequest, dialect: Dialect, inputs: Collection[str]) -> dict[str, Input]:
    fields = {}
    for name, value in _given(request).items():
        if dialect.sampling.get(name) not in inputs:
            raise _cannot(name)
        fields[dialect.sampling[name]] = value
    return fields


def _as_json(request: TaskRequest, dialect: Dialect, seed: int) -> str:
    given = {dialect.sampling[name]: value for name, value in _given(request).items()}
    return json.dumps({"max_tokens": request.max_tokens, "seed": engine_seed(dialect, seed), **given})


def _cannot(field: str) -> AdapterError:
    return AdapterError(f"completion: the model has no input for `{field}`", blames_request=True)
