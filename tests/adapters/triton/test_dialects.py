"""What each model is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import AdapterError, Message, Sampling
from adapters.triton import dialects
from adapters.triton.dialects import LLMAPI, TRTLLM, VLLM, Dialect
from tests.adapters.rig import request

if TYPE_CHECKING:
    from collections.abc import Collection

    from adapter_api import TaskRequest
    from adapters.triton.dialects import Input

pytestmark = pytest.mark.req("OC-ADAPT-5060")

CLASSIC_INPUTS = frozenset({
    "text_input", "max_tokens", "stream", "seed", "temperature", "top_k", "top_p", "repetition_penalty",
    "presence_penalty", "frequency_penalty", "stop_words", "exclude_input_in_output", "return_num_output_tokens",
})  # fmt: skip
LLMAPI_INPUTS = frozenset({
    "text_input", "streaming", "sampling_param_max_tokens", "sampling_param_seed", "sampling_param_temperature",
    "sampling_param_top_k", "sampling_param_top_p", "sampling_param_presence_penalty", "sampling_param_stop",
    "sampling_param_frequency_penalty", "sampling_param_exclude_input_from_output", "return_finish_reason",
})  # fmt: skip
VLLM_INPUTS = frozenset({
    "text_input", "stream", "sampling_parameters", "exclude_input_in_output", "return_finish_reason",
    "return_num_input_tokens", "return_num_output_tokens",
})  # fmt: skip
EVERY = Sampling(
    temperature=0.5,
    top_p=0.9,
    top_k=3,
    repeat_penalty=1.1,
    presence_penalty=0.1,
    frequency_penalty=0.2,
    stop=("a", "b"),
)


def asked(
    task: TaskRequest, dialect: Dialect, inputs: Collection[str], *, seed: int = 7, stream: bool = True
) -> dict[str, Input]:
    return dialects.completion(task, dialect, inputs, seed=seed, stream=stream)


def test_the_classic_pipeline_has_an_input_for_each_parameter() -> None:
    assert asked(request("Hi", max_tokens=9, sampling=EVERY), TRTLLM, CLASSIC_INPUTS) == {
        "text_input": "Hi",
        "max_tokens": 9,
        "stream": True,
        "seed": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 3,
        "repetition_penalty": 1.1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop_words": ["a", "b"],
        "exclude_input_in_output": True,
        "return_num_output_tokens": True,
    }


def test_the_llm_api_has_names_of_its_own() -> None:
    sampling = Sampling(temperature=0.5, top_k=3, stop=("a",))
    assert asked(request("Hi", max_tokens=9, sampling=sampling), LLMAPI, LLMAPI_INPUTS) == {
        "text_input": "Hi",
        "sampling_param_max_tokens": 9,
        "streaming": True,
        "sampling_param_seed": 7,
        "sampling_param_temperature": 0.5,
        "sampling_param_top_k": 3,
        "sampling_param_stop": ["a"],
        "sampling_param_exclude_input_from_output": True,
        "return_finish_reason": True,
    }


def test_the_vllm_backend_takes_parameters_as_json_in_one_input() -> None:
    fields = asked(request("Hi", max_tokens=9, sampling=Sampling(min_p=0.1, stop=("a",))), VLLM, VLLM_INPUTS)
    parameters = json.loads(str(fields.pop("sampling_parameters")))
    assert parameters == {"max_tokens": 9, "seed": 7, "min_p": 0.1, "stop": ["a"]}
    assert fields == {
        "text_input": "Hi",
        "stream": True,
        "exclude_input_in_output": True,
        "return_finish_reason": True,
        "return_num_input_tokens": True,
        "return_num_output_tokens": True,
    }


def test_older_models_call_the_seed_random() -> None:
    inputs = CLASSIC_INPUTS - {"seed"} | {"random_seed"}
    assert asked(request("Hi"), TRTLLM, inputs)["random_seed"] == 7


@pytest.mark.req("OC-ADAPT-5060b")
@pytest.mark.parametrize(
    ("inputs", "dialect"), [(CLASSIC_INPUTS, TRTLLM), (LLMAPI_INPUTS, LLMAPI), (VLLM_INPUTS, VLLM)]
)
def test_the_names_of_the_inputs_tell_the_dialect(inputs: frozenset[str], dialect: Dialect) -> None:
    assert dialects.dialect_of(inputs) is dialect


@pytest.mark.req("OC-ADAPT-5060b")
def test_a_model_of_another_kind_is_told_from_those() -> None:
    with pytest.raises(AdapterError, match="no known dialect"):
        dialects.dialect_of({"input_ids", "input_lengths"})


@pytest.mark.req("OC-ADAPT-5060a")
@pytest.mark.parametrize(
    ("sampling", "dialect", "inputs", "field"),
    [
        (Sampling(min_p=0.1), TRTLLM, CLASSIC_INPUTS, "min_p"),
        (Sampling(repeat_penalty=1.1), LLMAPI, LLMAPI_INPUTS, "repeat_penalty"),
        (Sampling(top_k=1), TRTLLM, CLASSIC_INPUTS - {"top_k"}, "top_k"),
    ],
)
def test_what_the_model_has_no_input_for_is_refused_by_name(
    sampling: Sampling, dialect: Dialect, inputs: frozenset[str], field: str
) -> None:
    with pytest.raises(AdapterError, match=f"no input for `{field}`") as refused:
        asked(request("Hi", sampling=sampling), dialect, inputs)
    assert refused.value.blames_request


@pytest.mark.req("OC-ADAPT-5060a")
def test_a_seed_that_the_model_cannot_be_given_is_refused_only_if_it_was_asked_for() -> None:
    inputs = CLASSIC_INPUTS - {"seed"}
    assert "seed" not in asked(request("Hi"), TRTLLM, inputs)
    with pytest.raises(AdapterError, match="no input for `seed`"):
        asked(request("Hi", seed=3), TRTLLM, inputs)


@pytest.mark.req("OC-ADAPT-5060a")
@pytest.mark.parametrize("name", ["text_input", "max_tokens", "stream"])
def test_a_model_without_an_input_that_every_request_needs_is_our_mistake(name: str) -> None:
    with pytest.raises(AdapterError, match=f"no input '{name}'") as refused:
        asked(request("Hi"), TRTLLM, CLASSIC_INPUTS - {name})
    assert not refused.value.blames_request


def test_a_model_that_does_not_stream_is_not_asked_to() -> None:
    assert "stream" not in asked(request("Hi"), TRTLLM, CLASSIC_INPUTS - {"stream"}, stream=False)


def test_a_chat_is_refused_because_no_template_is_there() -> None:
    with pytest.raises(AdapterError, match="chat template") as refused:
        asked(request("", messages=(Message("user", "Hi"),)), TRTLLM, CLASSIC_INPUTS)
    assert refused.value.blames_request


@given(seed=st.integers())
def test_every_seed_is_one_that_the_model_keeps(seed: int) -> None:
    assert 0 <= dialects.engine_seed(TRTLLM, seed) < 2**64
    assert 0 <= dialects.engine_seed(VLLM, seed) < 2**63
    if 0 <= seed < 2**63:
        assert dialects.engine_seed(TRTLLM, seed) == dialects.engine_seed(VLLM, seed) == seed


@pytest.mark.req("OC-ADAPT-5060f")
def test_a_stop_names_only_what_the_model_knows() -> None:
    assert dialects.stop({"text_input", "max_tokens", "stop"}) == {"stop": True, "text_input": "", "max_tokens": 1}
    assert dialects.stop({"input_ids", "stop"}) == {"stop": True, "input_ids": 0}
    with pytest.raises(AdapterError, match="no input 'stop'"):
        dialects.stop({"text_input"})


def test_features_are_what_can_be_asked() -> None:
    assert dialects.features(VLLM_INPUTS) == {"cancel", "seed", "stop"}
    assert dialects.features(CLASSIC_INPUTS - {"seed", "stop_words"}) == {"cancel"}
