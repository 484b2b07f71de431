"""The official Triton client over HTTP, unmodified, against the double on a real socket."""

from __future__ import annotations

import numpy as np
import pytest
import tritonclient.http as http_client
from tritonclient.utils import InferenceServerException

from conformance.engines.triton import TritonSettings
from tests.interop.triton_rig import http_to

pytestmark = [pytest.mark.interop]


def numbers(*values: float, binary: bool = True) -> http_client.InferInput:
    made = http_client.InferInput("NUMBERS", [len(values)], "FP32")
    return made.set_data_from_numpy(np.array(values, dtype=np.float32), binary_data=binary)


def texts(*values: str, binary: bool = True) -> http_client.InferInput:
    made = http_client.InferInput("TEXT", [len(values)], "BYTES")
    return made.set_data_from_numpy(np.array(values, dtype=np.object_), binary_data=binary)


async def test_health_and_metadata_are_understood() -> None:
    async with http_to() as (double, client):
        assert await client.call("is_server_live")
        assert await client.call("is_server_ready")
        assert await client.call("is_model_ready", "ensemble", "1")
        assert not await client.call("is_model_ready", "nope")
        assert (await client.call("get_server_metadata"))["version"] == double.settings.version
        metadata = await client.call("get_model_metadata", "tensorrt_llm")
        assert {"name": "stop", "datatype": "BOOL", "shape": [-1, 1]} in metadata["inputs"]
        config = await client.call("get_model_config", "ensemble")
        assert config["model_transaction_policy"] == {"decoupled": True}
        index = await client.call("get_model_repository_index")
        assert {entry["name"] for entry in index} == set(double.repository.models)


async def test_a_server_that_loads_is_live_and_not_ready() -> None:
    async with http_to() as (double, client):
        double.load_model(60)
        assert await client.call("is_server_live")
        assert not await client.call("is_server_ready")
        assert not await client.call("is_model_ready", "ensemble")
        with pytest.raises(InferenceServerException, match="is not at ready state") as caught:
            await client.call("infer", "identity", [numbers(1)])
        assert caught.value.status() == "503"


@pytest.mark.parametrize("sends_binary", [True, False])
@pytest.mark.parametrize("wants_binary", [True, False, None])
async def test_text_and_numbers_come_back_as_they_went(sends_binary: bool, wants_binary: bool | None) -> None:
    inputs = [texts("", "漢字\n", binary=sends_binary), numbers(1, -2.5, 3e8, binary=sends_binary)]
    names = ("TEXT_OUT", "NUMBERS_OUT")
    wanted = [http_client.InferRequestedOutput(name, binary_data=wants_binary) for name in names]
    async with http_to() as (_double, client):
        outputs = None if wants_binary is None else wanted
        result = await client.call("infer", "identity", inputs, outputs=outputs, request_id="r1")
    found = [text.decode() if isinstance(text, bytes) else text for text in result.as_numpy("TEXT_OUT")]
    assert found == ["", "漢字\n"]
    assert np.array_equal(result.as_numpy("NUMBERS_OUT"), np.array([1, -2.5, 3e8], dtype=np.float32))
    assert result.get_response()["id"] == "r1"


async def test_some_inputs_may_be_binary_and_others_not() -> None:
    inputs = [texts("a", binary=False), numbers(1, 2, binary=True)]
    wanted = [http_client.InferRequestedOutput("NUMBERS_OUT"), http_client.InferRequestedOutput("TEXT_OUT", False)]
    async with http_to() as (_double, client):
        result = await client.call("infer", "identity", inputs, outputs=wanted)
    assert result.as_numpy("TEXT_OUT").tolist() == ["a"]
    assert result.as_numpy("NUMBERS_OUT").tolist() == [1, 2]


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
async def test_a_compressed_request_is_read(algorithm: str) -> None:
    async with http_to() as (_double, client):
        inputs = [numbers(*range(1000))]
        result = await client.call("infer", "identity", inputs, request_compression_algorithm=algorithm)
    assert result.as_numpy("NUMBERS_OUT").tolist() == list(range(1000))


async def test_failures_are_statuses_with_a_text() -> None:
    async with http_to() as (_double, client):
        for model, status, words in (
            ("nope", "404", "unknown model: 'nope'"),
            ("ensemble", "501", "decoupled transaction policy"),
            ("embedding", "400", "unexpected inference input 'NUMBERS'"),
        ):
            with pytest.raises(InferenceServerException, match=words) as caught:
                await client.call("infer", model, [numbers(1)])
            assert caught.value.status() == status


async def test_statistics_count_what_was_done() -> None:
    async with http_to() as (_double, client):
        for _ in range(2):
            await client.call("infer", "identity", [numbers(1)])
        (stats,) = (await client.call("get_inference_statistics", "identity"))["model_stats"]
        everything = (await client.call("get_inference_statistics"))["model_stats"]
    assert (stats["inference_count"], stats["inference_stats"]["success"]["count"]) == (2, 2)
    assert len(everything) == 5


async def test_a_text_model_that_is_not_decoupled_takes_infer() -> None:
    settings = TritonSettings(dialect="vllm", is_decoupled=False)
    prompt = http_client.InferInput("text_input", [1], "BYTES")
    prompt.set_data_from_numpy(np.array(["Hi"], dtype=np.object_))
    async with http_to(settings) as (_double, client):
        result = await client.call("infer", "vllm_model", [prompt], parameters={"max_tokens": 3})
    (answer,) = result.as_numpy("text_output")
    assert answer.decode().startswith("Hi")
    assert len(answer.split()) == 4


async def test_a_restricted_api_wants_its_header() -> None:
    async with http_to(TritonSettings(restricted_header="X-Key")) as (_double, client):
        with pytest.raises(InferenceServerException, match="restricted, expecting header 'X-Key'") as caught:
            await client.call("infer", "identity", [numbers(1)])
        assert caught.value.status() == "403"
        await client.call("infer", "identity", [numbers(1)], headers={"X-Key": "any"})
