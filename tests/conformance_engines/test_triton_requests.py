"""What the Triton double makes of any body: a request, or a refusal, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.engines.triton.failures import Refused
from conformance.engines.triton.models import VLLM, classic, identity, vllm
from conformance.engines.triton.requests import read_generate, read_infer
from conformance.engines.triton.speaker import Speaker, read_asked
from conformance.engines.triton.tensors import Tensor, to_raw

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
NAMES = st.sampled_from(["text_input", "max_tokens", "stream", "stop_words", "id", "parameters", "seed", "other"])
TENSOR_NAMES = st.sampled_from(["name", "datatype", "shape", "data", "parameters"])
TENSORS = st.dictionaries(TENSOR_NAMES, VALUES | st.just("NUMBERS") | st.just("FP32"), max_size=5)
INFERS = st.fixed_dictionaries({}, optional={"inputs": st.lists(TENSORS, max_size=2) | VALUES, "outputs": VALUES})


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_a_generate_body_is_read_or_refused(body: dict[str, object]) -> None:
    with suppress(Refused):
        request = read_generate(json.dumps(body).encode(), classic())
        assert set(request.inputs) <= {spec.name for spec in classic().inputs}
        assert all(isinstance(value, str | int | float | bool) for value in request.parameters.values())


@given(st.binary(max_size=40) | INFERS.map(lambda body: json.dumps(body).encode()), st.none() | st.integers(0, 60))
def test_an_infer_body_is_read_or_refused(body: bytes, size: int | None) -> None:
    with suppress(Refused):
        assert read_infer(body, size, identity()).inputs.keys() <= {"TEXT", "NUMBERS"}


@given(
    st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=4), st.lists(st.text(), min_size=1, max_size=3)
)
def test_raw_tensors_follow_the_json_in_the_order_of_the_inputs(numbers: list[float], texts: list[str]) -> None:
    sent = (
        Tensor("NUMBERS", "FP32", (len(numbers),), tuple(numbers)),
        Tensor("TEXT", "BYTES", (len(texts),), tuple(text.encode() for text in texts)),
    )
    heads = [
        {"name": t.name, "datatype": t.datatype, "shape": t.shape, "parameters": {"binary_data_size": len(to_raw(t))}}
        for t in sent
    ]
    head = json.dumps({"inputs": heads}).encode()
    request = read_infer(head + b"".join(map(to_raw, sent)), len(head), identity())
    assert tuple(request.inputs.values()) == sent


@given(words=st.lists(st.text(max_size=8), max_size=6), is_stream=st.booleans(), excludes=st.booleans())
def test_a_speaker_says_everything_once(words: list[str], is_stream: bool, excludes: bool) -> None:
    body = {"text_input": "Hi", "stream": is_stream, "exclude_input_in_output": excludes or is_stream}
    request = read_generate(json.dumps(body).encode(), vllm())
    speaker = Speaker(request, VLLM, read_asked(request, VLLM, 100))
    outputs = []
    for word in words:
        if is_stream:
            outputs.append(speaker.piece(word, 1))
        else:
            speaker.hear(word, 1)
    outputs.append(speaker.last("stop"))
    said = "".join(output.texts[0] for each in outputs for output in each if output.name == "text_output")
    assert said == ("" if excludes or is_stream else "Hi") + "".join(words)


@pytest.mark.parametrize("parameters", ['{"max_tokens": "3"}', '{"max_tokens": null}', '{"seed": "x"}', "5", '"x"'])
def test_odd_sampling_parameters_do_not_break_the_double(parameters: str) -> None:
    body = {"text_input": "Hi", "sampling_parameters": parameters}
    request = read_generate(json.dumps(body).encode(), vllm())
    with suppress(Refused):
        assert read_asked(request, VLLM, 100).limit > 0
