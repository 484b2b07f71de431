"""What a person wrote is taken out of what is told of a failure, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import AdapterError, Message, Sampling, TaskRequest, WorkerError
from adapter_host._quotes import MASK, RUN_CHARACTERS, TEXT_CHARACTERS, without_quotes
from tests.support.scripted import ScriptedAdapter

from .support import bench, request

WORDS = "my neighbour's cat is called Ludmilla"
PARTS = st.text("ab", min_size=0, max_size=60)


@pytest.mark.req("AH-3001a", "HTU-1004g")
@pytest.mark.parametrize(
    "asked",
    [
        replace(request(), prompt=f"Note that {WORDS}."),
        replace(request(), messages=(Message("user", f"Note that {WORDS}."),)),
        replace(request(), inputs=("another", WORDS)),
        replace(request(), sampling=Sampling(stop=(WORDS,))),
    ],
    ids=["prompt", "messages", "inputs", "stop"],
)
@pytest.mark.parametrize(
    "failure", [AdapterError(f"cannot parse {WORDS!r}"), KeyError(WORDS), ExceptionGroup(WORDS, [OSError(WORDS)])]
)
async def test_a_failure_does_not_quote_the_request(asked: TaskRequest, failure: Exception) -> None:
    rig = bench(ScriptedAdapter(streams=[[failure]]))
    with pytest.raises(WorkerError, match="prompt") as raised:
        await rig.collect(asked)
    told = f"{raised.value.message} {raised.value} {raised.value!r} {rig.notes}"
    assert "Ludmilla" not in told
    assert "neighbour" not in told


@pytest.mark.req("AH-3001a")
def test_words_that_are_not_the_request_s_stay() -> None:
    text = "completion: HTTP 400: the request exceeds the available context size"
    assert without_quotes(text, "Once upon a time the request was small") == text
    assert without_quotes(text, "") == text
    assert without_quotes(f"{text}: {WORDS}!", WORDS) == f"{text}: {MASK}!"


@given(PARTS, PARTS)
def test_no_long_run_is_left(text: str, written: str) -> None:
    told = without_quotes(text, written)
    for part in told.split(MASK):
        runs = [part[at : at + RUN_CHARACTERS] for at in range(len(part) - RUN_CHARACTERS + 1)]
        assert not [run for run in runs if run in written]
    assert MASK in told or told == text


async def test_a_text_without_end_is_cut() -> None:
    rig = bench(ScriptedAdapter(streams=[[ValueError("x" * 10**6)]]))
    with pytest.raises(WorkerError) as raised:
        await rig.collect()
    assert len(raised.value.message) == TEXT_CHARACTERS
