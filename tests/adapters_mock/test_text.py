import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import FinishReason
from adapters.mock.text import VECTOR_DIMENSIONS, embed, make_answer, relevance

prompts = st.text(max_size=40)
seeds = st.integers(min_value=-(2**63), max_value=2**63 - 1)


@given(prompt=prompts, seed=seeds, max_tokens=st.integers(min_value=1, max_value=60))
def test_equal_arguments_give_equal_answers(prompt: str, seed: int, max_tokens: int) -> None:
    one = make_answer(prompt, seed, max_tokens=max_tokens, stop=())
    assert one == make_answer(prompt, seed, max_tokens=max_tokens, stop=())
    assert 1 <= len(one.pieces) <= max_tokens
    assert all(one.pieces)


@given(prompt=prompts, seed=seeds, fewer=st.integers(min_value=1, max_value=20))
def test_fewer_tokens_are_the_beginning_of_the_same_answer(prompt: str, seed: int, fewer: int) -> None:
    whole = make_answer(prompt, seed, max_tokens=1000, stop=())
    cut = make_answer(prompt, seed, max_tokens=fewer, stop=())
    assert cut.pieces == whole.pieces[:fewer]
    assert whole.reason is FinishReason.STOP
    assert cut.reason is (FinishReason.LENGTH if fewer < len(whole.pieces) else FinishReason.STOP)


@given(seed=seeds, at=st.integers(min_value=0, max_value=60), length=st.integers(min_value=1, max_value=9))
def test_nothing_of_a_stop_string_is_said(seed: int, at: int, length: int) -> None:
    whole = "".join(make_answer("p", seed, max_tokens=1000, stop=()).pieces)
    stop = whole[at : at + length] or "."
    answer = make_answer("p", seed, max_tokens=1000, stop=("", "never there", stop))
    assert "".join(answer.pieces) == whole[: whole.find(stop)]
    assert answer.reason is FinishReason.STOP
    assert all(answer.pieces)


def test_the_text_is_pinned_so_that_other_processes_and_versions_agree() -> None:
    answer = make_answer("hello there", 3, max_tokens=9, stop=())
    assert "".join(answer.pieces) == " The model remembers the next task without any hurry."


@given(text=st.text())
def test_vectors_have_unit_length(text: str) -> None:
    vector = embed(text)
    assert len(vector) == VECTOR_DIMENSIONS
    assert sum(number * number for number in vector) == pytest.approx(1.0, abs=1e-4)


def test_a_document_that_shares_words_scores_higher() -> None:
    assert relevance("cats and dogs", "dogs and cats") == 1.0
    assert relevance("cats and dogs", "many dogs") > relevance("cats and dogs", "fish") == 0.0
