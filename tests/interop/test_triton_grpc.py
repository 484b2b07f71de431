"""The official Triton client over gRPC, unmodified, against the double on a real socket."""

from __future__ import annotations

import numpy as np
import pytest
import tritonclient.grpc as grpc_client
from tritonclient.utils import InferenceServerException

from conformance.engines.script import Cut, Fail, Finish, Pause, Reset, Script, Stall, Text
from conformance.engines.triton import TritonSettings
from tests.interop.triton_rig import Heard, asks, grpc_to, in_thread

pytestmark = [pytest.mark.interop]


async def test_health_metadata_and_index_are_understood() -> None:
    async with grpc_to() as (double, client):
        assert await in_thread(client.is_server_live)
        assert await in_thread(client.is_server_ready)
        assert await in_thread(client.is_model_ready, "ensemble")
        server = await in_thread(client.get_server_metadata)
        assert (server.name, server.version) == ("triton", double.settings.version)
        model = await in_thread(client.get_model_metadata, "ensemble")
        assert {spec.name: spec.datatype for spec in model.inputs}["seed"] == "UINT64"
        index = await in_thread(client.get_model_repository_index)
        assert {entry.name: entry.state for entry in index.models}["ensemble"] == "READY"


async def test_a_models_configuration_is_understood() -> None:
    async with grpc_to() as (_double, client):
        answer = await in_thread(client.get_model_config, "ensemble")
    config = answer.config
    assert (config.platform, config.max_batch_size) == ("ensemble", 64)
    assert config.model_transaction_policy.decoupled
    types = {entry.name: entry.data_type for entry in config.input}
    names = grpc_client.model_config_pb2.DataType.Name
    assert [names(types[name]) for name in ("text_input", "stream", "seed", "top_p")] == [
        "TYPE_STRING",
        "TYPE_BOOL",
        "TYPE_UINT64",
        "TYPE_FP32",
    ]


async def test_a_server_that_loads_is_live_and_not_ready() -> None:
    async with grpc_to() as (double, client):
        double.load_model(60)
        assert await in_thread(client.is_server_live)
        assert not await in_thread(client.is_server_ready)
        assert not await in_thread(client.is_model_ready, "ensemble")
        with pytest.raises(InferenceServerException, match="is not at ready state") as caught:
            await in_thread(client.get_model_metadata, "ensemble")
        assert caught.value.status() == "StatusCode.UNAVAILABLE"


async def test_text_and_numbers_come_back_as_they_went() -> None:
    texts = grpc_client.InferInput("TEXT", [2], "BYTES")
    texts.set_data_from_numpy(np.array(["", "漢字\n"], dtype=np.object_))
    numbers = grpc_client.InferInput("NUMBERS", [2, 2], "FP32")
    numbers.set_data_from_numpy(np.array([[1, -2.5], [3e8, 0]], dtype=np.float32))
    async with grpc_to() as (_double, client):
        result = await in_thread(client.infer, "identity", [texts, numbers], request_id="r1")
    assert [text.decode() for text in result.as_numpy("TEXT_OUT")] == ["", "漢字\n"]
    assert np.array_equal(result.as_numpy("NUMBERS_OUT"), [[1, -2.5], [3e8, 0]])
    assert result.get_response().id == "r1"


async def test_only_the_outputs_that_were_named_come() -> None:
    numbers = grpc_client.InferInput("NUMBERS", [1], "FP32")
    numbers.set_data_from_numpy(np.array([1], dtype=np.float32))
    async with grpc_to() as (_double, client):
        wanted = [grpc_client.InferRequestedOutput("TEXT_OUT")]
        result = await in_thread(client.infer, "identity", [numbers], outputs=wanted)
        assert result.as_numpy("NUMBERS_OUT") is None
        unknown = [grpc_client.InferRequestedOutput("NOPE")]
        with pytest.raises(InferenceServerException, match="unexpected inference output 'NOPE'"):
            await in_thread(client.infer, "identity", [numbers], outputs=unknown)


async def test_vectors_and_scores_come_one_a_row() -> None:
    texts = grpc_client.InferInput("text_input", [2, 1], "BYTES")
    texts.set_data_from_numpy(np.array([["one"], ["two"]], dtype=np.object_))
    async with grpc_to() as (_double, client):
        vectors = (await in_thread(client.infer, "embedding", [texts])).as_numpy("embedding")
    assert vectors.shape == (2, 8)
    assert not np.array_equal(vectors[0], vectors[1])


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
async def test_a_compressed_request_is_read(algorithm: str) -> None:
    numbers = grpc_client.InferInput("NUMBERS", [4000], "FP32")
    numbers.set_data_from_numpy(np.zeros(4000, dtype=np.float32))
    async with grpc_to() as (_double, client):
        result = await in_thread(client.infer, "identity", [numbers], compression_algorithm=algorithm)
    assert result.as_numpy("NUMBERS_OUT").shape == (4000,)


async def test_a_large_answer_passes_every_flow_control_window() -> None:
    numbers = grpc_client.InferInput("NUMBERS", [1_000_000], "FP32")
    numbers.set_data_from_numpy(np.arange(1_000_000, dtype=np.float32))
    async with grpc_to() as (_double, client):
        result = await in_thread(client.infer, "identity", [numbers])
    assert np.array_equal(result.as_numpy("NUMBERS_OUT"), np.arange(1_000_000, dtype=np.float32))


async def test_failures_are_statuses() -> None:
    async with grpc_to() as (_double, client):
        for model, inputs, status, words in (
            ("nope", asks(), "NOT_FOUND", "unknown model: 'nope'"),
            ("ensemble", asks(), "UNIMPLEMENTED", "decoupled transaction policy"),
            ("embedding", asks(), "INVALID_ARGUMENT", "unexpected inference input 'max_tokens'"),
            ("embedding", [], "INVALID_ARGUMENT", "missing required input"),
        ):
            with pytest.raises(InferenceServerException, match=words) as caught:
                await in_thread(client.infer, model, inputs)
            assert caught.value.status() == f"StatusCode.{status}"


async def test_statistics_count_what_was_done() -> None:
    numbers = grpc_client.InferInput("NUMBERS", [1], "FP32")
    numbers.set_data_from_numpy(np.array([1], dtype=np.float32))
    async with grpc_to() as (_double, client):
        for _ in range(3):
            await in_thread(client.infer, "identity", [numbers])
        (stats,) = (await in_thread(client.get_inference_statistics, "identity")).model_stats
    assert (stats.name, stats.inference_count, stats.inference_stats.success.count) == ("identity", 3, 3)
    assert stats.inference_stats.success.ns > 0


async def test_a_stream_gives_each_piece_and_an_empty_last_response() -> None:
    heard = Heard()
    async with grpc_to(None, Script.of(Text("One"), Text(" café"), Text(" 漢字"))) as (_double, client):
        await in_thread(client.start_stream, heard)
        await in_thread(
            client.async_stream_infer, "ensemble", asks(), request_id="r1", enable_empty_final_response=True
        )
        assert await heard.texts() == ["One", " café", " 漢字", ""]
        await in_thread(client.stop_stream)


async def test_without_asking_no_response_says_that_it_is_the_last() -> None:
    heard = Heard()
    async with grpc_to(None, Script.of(Text("One"), Text(" two"))) as (_double, client):
        await in_thread(client.start_stream, heard)
        await in_thread(client.async_stream_infer, "ensemble", asks(), request_id="r1")
        assert [await heard.text_and_last() for _ in range(2)] == [("One", False), (" two", False)]
        await in_thread(client.stop_stream)
        assert heard.waiting.empty()


async def test_two_requests_share_a_stream_and_are_told_apart_by_id() -> None:
    heard = Heard()
    scripts = (Script.of(Text("a"), Pause(0.2), Text("b")), Script.of(Pause(0.1), Text("c")))
    async with grpc_to(None, *scripts) as (_double, client):
        await in_thread(client.start_stream, heard)
        for name in ("left", "right"):
            await in_thread(client.async_stream_infer, "ensemble", asks(), request_id=name)
        answers = [(await heard.next())[0] for _ in range(3)]
        await in_thread(client.stop_stream)
    got = {answer.get_response().id + answer.as_numpy("text_output")[0].decode() for answer in answers if answer}
    assert got == {"lefta", "rightc", "leftb"}


async def test_an_error_is_that_requests_alone() -> None:
    heard = Heard()
    scripts = (Script.of(Text("One"), Fail(500, "", "it broke", in_stream=True)), Script.of(Text("fine")))
    async with grpc_to(None, *scripts) as (_double, client):
        await in_thread(client.start_stream, heard)
        await in_thread(client.async_stream_infer, "ensemble", asks(), request_id="bad")
        assert (await heard.text_and_last())[0] == "One"
        result, error = await heard.next()
        assert result is None
        assert "it broke" in str(error)
        await in_thread(
            client.async_stream_infer, "ensemble", asks(), request_id="good", enable_empty_final_response=True
        )
        assert await heard.texts() == ["fine", ""]
        await in_thread(client.stop_stream)


async def test_metadata_turns_an_error_into_the_streams_status() -> None:
    heard = Heard()
    async with grpc_to(None, Script.of(Fail(503, "", "no room"))) as (_double, client):
        await in_thread(client.start_stream, heard, headers={"triton_grpc_error": "true"})
        await in_thread(client.async_stream_infer, "ensemble", asks())
        _result, error = await heard.next()
        assert isinstance(error, InferenceServerException)
        assert (error.status(), error.message()) == ("StatusCode.UNAVAILABLE", "no room")


async def test_cancelling_a_stream_stops_its_requests() -> None:
    heard = Heard()
    scripts = (Script.of(Text("One"), Stall()), Script.of(Text("next")))
    async with grpc_to(TritonSettings(release_s=0.01, slots=1), *scripts) as (double, client):
        await in_thread(client.start_stream, heard)
        await in_thread(client.async_stream_infer, "ensemble", asks())
        await heard.text_and_last()
        assert double.facts.live == 1
        await in_thread(client.stop_stream, cancel_requests=True)
        _result, error = await heard.next()
        assert isinstance(error, InferenceServerException)
        assert error.status() == "StatusCode.CANCELLED"
        assert len(double.facts.gone) == 1
        await in_thread(client.start_stream, heard)
        await in_thread(client.async_stream_infer, "ensemble", asks())
        assert await heard.text_and_last() == ("next", False)
        await in_thread(client.stop_stream)


async def test_a_request_is_stopped_by_its_id() -> None:
    heard = Heard()
    async with grpc_to(None, Script.of(Text("One"), Stall())) as (double, client):
        await in_thread(client.start_stream, heard)
        await in_thread(client.async_stream_infer, "ensemble", asks(), request_id="r1")
        await heard.text_and_last()
        await in_thread(client.async_stream_infer, "ensemble", asks(stop=True), request_id="r1")
        _result, error = await heard.next()
        assert "Request cancelled by client" in str(error)
        assert double.facts.live == 0
        await in_thread(client.stop_stream)


@pytest.mark.parametrize(("how", "status"), [(Cut(clean=False), "UNAVAILABLE"), (Reset(), "UNAVAILABLE")])
async def test_a_broken_connection_is_an_error(how: Cut | Reset, status: str) -> None:
    heard = Heard()
    async with grpc_to(None, Script.of(Text("One"), how)) as (_double, client):
        await in_thread(client.start_stream, heard)
        await in_thread(client.async_stream_infer, "ensemble", asks())
        await heard.text_and_last()
        _result, error = await heard.next()
        assert isinstance(error, InferenceServerException)
        assert error.status() == f"StatusCode.{status}"


async def test_the_vllm_backend_speaks_its_own_dialect() -> None:
    heard = Heard()
    asked = [each for each in asks(return_finish_reason=True) if each.name() != "max_tokens"]
    async with grpc_to(TritonSettings(dialect="vllm"), Script.of(Text("One"), Finish("length"))) as (_double, client):
        await in_thread(client.start_stream, heard)
        await in_thread(client.async_stream_infer, "vllm_model", asked)
        reasons = []
        for _ in range(2):
            result, error = await heard.next()
            assert error is None
            assert result is not None
            reasons.append(result.as_numpy("finish_reason")[0].decode())
        assert reasons == ["None", "length"]
        await in_thread(client.stop_stream)
