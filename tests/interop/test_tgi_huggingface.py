"""`huggingface_hub.InferenceClient`, unmodified, talks to the TGI double over TCP as it would to a TGI."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest
import trio
from huggingface_hub import ChatCompletionInputMessage, ChatCompletionInputStreamOptions, InferenceClient
from huggingface_hub.errors import (
    GenerationError,
    HfHubHTTPError,
    OverloadedError,
    ValidationError,
)
from trio.testing import wait_all_tasks_blocked

from conformance.engines.script import Accept, Fail, Finish, Overload, Ping, Script, Stall, Text
from conformance.engines.tgi import TgiDouble, TgiSettings, open_tgi

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

pytestmark = [pytest.mark.interop, pytest.mark.req("OC-ADAPT-5040")]

HELLO = Script.of(Accept(), Ping(), Text("Hel"), Text("lo ", tokens=2), Text("wörld \u2028漢"), Finish())
SAID = "Hello wörld \u2028漢"
USER: list[dict[str, str] | ChatCompletionInputMessage] = [{"role": "user", "content": "Hi"}]
USAGE = ChatCompletionInputStreamOptions(include_usage=True)
BOOM = "Request failed during generation: boom"


async def ask(double: TgiDouble, call: Callable[[InferenceClient], T], *, timeout_s: float = 20) -> T:
    """Make a call of the client in a thread, on a real socket.

    It uses the route `/`, which puts the prompt before the text unless told otherwise.
    """
    client = InferenceClient(await double.serve_tcp(), timeout=timeout_s)
    return await trio.to_thread.run_sync(partial(call, client))


async def test_a_text_in_one_piece_with_details() -> None:
    async with open_tgi(None, Script.of(Text("Hel"), Text("lo"), Finish("length"))) as double:
        told = await ask(
            double,
            lambda client: client.text_generation("Hi", details=True, seed=3, do_sample=True, return_full_text=False),
        )
        assert told.generated_text == "Hello"
        assert told.details is not None
        assert (told.details.finish_reason, told.details.generated_tokens, told.details.seed) == ("length", 2, 3)
        assert [token.text for token in told.details.tokens] == ["Hel", "lo"]


async def test_a_text_with_the_prompt_before_it_and_its_tokens() -> None:
    async with open_tgi(None, HELLO) as double:
        told = await ask(
            double,
            lambda client: client.text_generation(
                "Hi there", details=True, decoder_input_details=True, return_full_text=True
            ),
        )
        assert told.generated_text == f"Hi there{SAID}"
        assert told.details is not None
        assert [token.text for token in told.details.prefill] == ["", "Hi", " there"]


async def test_a_plain_text() -> None:
    async with open_tgi(None, HELLO) as double:
        assert await ask(double, lambda client: client.text_generation("Hi", return_full_text=False)) == SAID


async def test_a_stream_with_details() -> None:
    async with open_tgi(None, HELLO) as double:
        told = await ask(
            double, lambda client: list(client.text_generation("Hi", stream=True, details=True, return_full_text=False))
        )
        assert [item.index for item in told] == [1, 2, 3, 4, 5]
        assert "".join(item.token.text for item in told if not item.token.special) == SAID
        assert [item.token.special for item in told] == [False, False, False, False, True]
        last = told[-1]
        assert last.generated_text == SAID
        assert last.details is not None
        assert (last.details.finish_reason, last.details.generated_tokens, last.details.input_length) == (
            "eos_token",
            5,
            2,
        )
        assert [item.generated_text for item in told[:-1]] == [None] * 4


async def test_a_stream_of_texts() -> None:
    async with open_tgi(None, HELLO) as double:
        said = await ask(double, lambda client: list(client.text_generation("Hi", stream=True)))
        assert "".join(said) == f"{SAID}</s>"  # this client shows special tokens, as ours must not


async def test_a_chat_stream_with_usage() -> None:
    async with open_tgi(None, HELLO) as double:
        told = await ask(
            double,
            lambda client: list(client.chat_completion(USER, stream=True, max_tokens=9, stream_options=USAGE)),
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in told if chunk.choices) == SAID
        assert [chunk.choices[0].finish_reason for chunk in told if chunk.choices][-1] == "stop"
        assert told[-1].usage is not None
        assert told[-1].usage.completion_tokens == 5
        assert told[0].choices[0].delta.role == "assistant"


async def test_a_chat_in_one_piece() -> None:
    async with open_tgi(None, HELLO) as double:
        told = await ask(double, lambda client: client.chat_completion(USER, max_tokens=9))
        assert told.choices[0].message.content == SAID
        assert (told.choices[0].finish_reason, told.usage.completion_tokens) == ("stop", 5)


@pytest.mark.req("OC-ADAPT-5040c")
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (Script.of(Overload()), OverloadedError),
        (Script.of(Text("a"), Fail(424, "generation", BOOM, in_stream=True)), GenerationError),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_errors_inside_a_stream_are_understood(script: Script, error: type[Exception]) -> None:
    async with open_tgi(None, script) as double:
        with pytest.raises(error):
            await ask(double, lambda client: list(client.text_generation("Hi", stream=True)))
    gc.collect()  # the client leaves its connection to the collector, which has to come by while that is no error


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_a_wrong_parameter_is_a_validation_error_in_a_stream() -> None:
    async with open_tgi() as double:
        with pytest.raises(ValidationError, match="top_p"):
            await ask(double, lambda client: list(client.text_generation("Hi", stream=True, top_p=1.0)))
    gc.collect()


@pytest.mark.parametrize(
    ("script", "status"), [(Script.of(Overload()), 429), (Script.of(Fail(424, "generation", BOOM)), 424)]
)
async def test_errors_before_an_answer_have_a_status(script: Script, status: int) -> None:
    async with open_tgi(None, script) as double:
        with pytest.raises(HfHubHTTPError) as caught:
            await ask(double, lambda client: client.chat_completion(USER))
        assert caught.value.response is not None
        assert caught.value.response.status_code == status


async def test_a_key_is_asked_for() -> None:
    async with open_tgi(TgiSettings(api_key="right"), HELLO) as double:
        url = await double.serve_tcp()

        def ask_with(token: str) -> str:
            return InferenceClient(url, token=token).text_generation("Hi", return_full_text=False)

        assert await trio.to_thread.run_sync(ask_with, "right") == SAID
        with pytest.raises(HfHubHTTPError):
            await trio.to_thread.run_sync(ask_with, "wrong")


async def test_a_client_that_gives_up_frees_its_permit() -> None:
    async with open_tgi(TgiSettings(permits=1, release_s=0.01), Script.of(Stall()), HELLO) as double:
        with pytest.raises(OSError, match="timed out"):  # its own error, or that of the HTTP library under it
            await ask(double, lambda client: client.text_generation("Hi"), timeout_s=0.3)
        await wait_all_tasks_blocked(0.05)
        assert (len(double.facts.gone), double.facts.live) == (1, 0)
        assert await ask(double, lambda client: client.text_generation("Hi", return_full_text=False)) == SAID
