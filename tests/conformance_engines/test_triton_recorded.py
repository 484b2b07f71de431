"""The Triton double answers as the real server was recorded; which requests were made is in `recording_triton.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.engines.script import Cut, Fail, Finish, Script, Text
from conformance.engines.triton import TritonSettings, open_triton
from conformance.engines.triton.failures import Code
from conformance.engines.triton.models import CLASSIC, Model, TensorSpec
from tests.conformance_engines.client import HOST, PORT
from tests.conformance_engines.recording import call, comparable
from tests.conformance_engines.recording_triton import recorded

if TYPE_CHECKING:
    from tests.conformance_engines.client import Answer
    from tests.conformance_engines.recording import Ask, Recorded

ECHO = Model(
    name="echo",
    inputs=(
        TensorSpec("text_input", "BYTES", optional=False),
        TensorSpec("max_tokens", "INT32"),
        TensorSpec("stream", "BOOL"),
        TensorSpec("fail_at", "INT32"),
    ),
    outputs=(TensorSpec("text_output", "BYTES"),),
    is_decoupled=True,
    dialect=replace(CLASSIC, name="echo", default_limit=1, has_counts=False, takes_no_tokens=True),
)
BROKEN = Fail(Code.UNKNOWN.http, "", "the model broke", in_stream=True)
SCRIPTS = {
    '"fail_at":0': Script.of(BROKEN),
    '"fail_at":1': Script.of(Text(" word0"), BROKEN),
    '"max_tokens":0': Script.of(Cut(clean=True)),
    '"max_tokens":2': Script.of(Text(" word0"), Text(" word1"), Finish()),
}


async def test_the_double_answers_like_the_recorded_server() -> None:
    async with open_triton(TritonSettings(further=(ECHO,))) as double:
        for ask, real in recorded():
            double.load(*[script for words, script in SCRIPTS.items() if words in ask.body][:1])
            answer = await call(await double.dial(HOST, PORT), ask)
            assert_alike(ask, answer, real)


def assert_alike(ask: Ask, answer: Answer, real: Recorded) -> None:
    got = comparable(answer.status, answer.headers, answer.body.decode())
    assert got == comparable(real.status, real.headers, real.body), ask.name
