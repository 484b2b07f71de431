"""Answers in one piece: one result for each input, in the order of the inputs, or an error."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import AdapterError, End, Started, TaskId, TaskRequest, Workload
from http_util.pieces import Embeddings, Ranking, embedding_body, events_of, rerank_body

STARTED = Started(tokens_in=3)


def asked(count: int) -> TaskRequest:
    inputs = tuple(map(str, range(count)))
    return TaskRequest(task_id=TaskId("t"), workload=Workload.RERANK, prompt="q", inputs=inputs)


@given(order=st.integers(0, 6).flatmap(lambda count: st.permutations(range(count))))
def test_results_come_in_the_order_of_the_inputs(order: list[int]) -> None:
    vectors = msgspec.convert({"data": [{"index": n, "embedding": [n, 0.5]} for n in order]}, Embeddings)
    scores = msgspec.convert({"results": [{"index": n, "relevance_score": n / 2} for n in order]}, Ranking)
    count = len(order)
    (_, end) = events_of(asked(count), vectors, STARTED, "embedding")
    assert isinstance(end, End)
    assert end.result == [[float(n), 0.5] for n in range(count)]
    (_, end) = events_of(asked(count), scores, STARTED, "rerank")
    assert isinstance(end, End)
    assert end.result == [n / 2 for n in range(count)]


@pytest.mark.parametrize("indices", [[], [0], [0, 0], [0, 2], [1, 2], [0, 1, 2]])
def test_an_answer_that_is_not_one_result_for_each_input_is_none(indices: list[int]) -> None:
    answer = msgspec.convert({"data": [{"index": n, "embedding": [1.0]} for n in indices]}, Embeddings)
    with pytest.raises(AdapterError, match="one for each of the 2 inputs"):
        events_of(asked(2), answer, STARTED, "embedding")


def test_counts_are_the_engines() -> None:
    answer = msgspec.convert({"data": [], "usage": {"prompt_tokens": 7, "total_tokens": 7}}, Embeddings)
    started, end = events_of(asked(0), answer, STARTED, "embedding")
    assert started is STARTED
    assert end == End(tokens_out=0, decode_time_ms=0, tokens_in=7, result=[])


def test_bodies_ask_for_everything() -> None:
    assert embedding_body(asked(2)) == {"input": ("0", "1"), "encoding_format": "float"}
    assert rerank_body(asked(2)) == {"query": "q", "documents": ("0", "1"), "top_n": 2}
