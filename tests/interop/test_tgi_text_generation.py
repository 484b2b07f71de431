"""`text_generation.Client`, unmodified, talks to the TGI double over TCP as it would to a TGI."""

from __future__ import annotations

import gc
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest
import trio
from text_generation import Client
from text_generation.errors import GenerationError, OverloadedError, ValidationError
from text_generation.types import FinishReason, Message

from conformance.engines.script import Accept, Fail, Finish, Overload, Ping, Script, Text
from conformance.engines.tgi import TgiDouble, open_tgi

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.req("OC-ADAPT-5040"),
    # The client was written for pydantic 1 and calls `BaseModel.dict`.
    pytest.mark.filterwarnings("ignore:The `dict` method is deprecated:DeprecationWarning"),
]

HELLO = Script.of(Accept(), Ping(), Text("Hel"), Text("lo ", tokens=2), Text("wörld 漢"), Finish())
SAID = "Hello wörld 漢"


async def ask(double: TgiDouble, call: Callable[[Client], T]) -> T:
    """Make a call of the client in a thread, on a real socket."""
    return await trio.to_thread.run_sync(partial(call, Client(await double.serve_tcp(), timeout=20)))


async def test_a_text_in_one_piece() -> None:
    async with open_tgi(None, HELLO) as double:
        told = await ask(
            double,
            lambda client: client.generate(
                "Hi there", max_new_tokens=9, do_sample=True, seed=3, decoder_input_details=True
            ),
        )
        assert told.generated_text == SAID
        details = told.details
        assert (details.finish_reason, details.generated_tokens, details.seed) == (
            FinishReason.EndOfSequenceToken,
            5,
            3,
        )
        assert [token.text for token in details.prefill] == ["", "Hi", " there"]
        assert [token.special for token in details.tokens] == [False, False, False, False, True]


async def test_a_stream() -> None:
    async with open_tgi(None, HELLO) as double:
        told = await ask(double, lambda client: list(client.generate_stream("Hi", max_new_tokens=9)))
        assert "".join(item.token.text for item in told if not item.token.special) == SAID
        last = told[-1]
        assert last.generated_text == SAID
        assert last.details is not None
        assert (last.details.finish_reason, last.details.generated_tokens) == (FinishReason.EndOfSequenceToken, 5)
        assert all(item.generated_text is None and item.details is None for item in told[:-1])


async def test_made_up_text_is_as_long_as_it_was_asked_for_and_follows_the_seed() -> None:
    async with open_tgi() as double:

        def twice(client: Client) -> list[str]:
            return [
                client.generate("Hi", max_new_tokens=6, do_sample=True, seed=seed).generated_text for seed in (1, 1, 2)
            ]

        first, again, other = await ask(double, twice)
        assert first == again != other


async def test_a_chat_in_one_piece() -> None:
    async with open_tgi(None, HELLO) as double:
        told = await ask(double, lambda client: client.chat([Message(role="user", content="Hi")], max_tokens=9))
        assert told.choices[0].message.content == SAID
        assert told.choices[0].finish_reason == "stop"


@pytest.mark.req("OC-ADAPT-5040c")
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (Script.of(Overload()), OverloadedError),
        (Script.of(Fail(424, "generation", "Request failed during generation: boom")), GenerationError),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_errors_are_understood_with_and_without_a_stream(script: Script, error: type[Exception]) -> None:
    async with open_tgi(None, script) as double:
        with pytest.raises(error):
            await ask(double, lambda client: client.generate("Hi"))
        with pytest.raises(error):
            await ask(double, lambda client: list(client.generate_stream("Hi")))
    gc.collect()  # the client leaves its connection to the collector, which has to come by while that is no error


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
async def test_what_the_engine_validates() -> None:
    async with open_tgi() as double:
        with pytest.raises(ValidationError, match=r"must be <= 2048"):
            await ask(double, lambda client: client.generate("Hi", max_new_tokens=4000))
        with pytest.raises(ValidationError, match="cannot be empty"):
            await ask(double, lambda client: list(client.generate_stream("")))
    gc.collect()
