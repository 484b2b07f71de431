"""What each event says on the wire, against the schemas of the specification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import specs
from adapter_api import (
    ERROR_KINDS,
    End,
    Failed,
    FinishReason,
    Message,
    Metrics,
    Sampling,
    Started,
    TaskId,
    TaskRequest,
    Token,
    WorkerError,
)

if TYPE_CHECKING:
    from adapter_api import TokenEvent

small = st.integers(0, 2**53)
words = st.text(min_size=1, max_size=12)
maybe_words = st.none() | words
events: st.SearchStrategy[TokenEvent] = st.one_of(
    st.builds(
        Started,
        engine_version=maybe_words,
        model_digest=maybe_words,
        sampler_profile_version=maybe_words,
        seed=st.none() | st.integers(-(2**63), 2**63 - 1),
        tokens_in=st.none() | small,
        kv_warmth=st.none() | st.booleans(),
    ),
    st.builds(Token, words, small),
    st.builds(
        End,
        tokens_out=small,
        decode_time_ms=small,
        finish_reason=st.sampled_from(FinishReason),
        tokens_in=st.none() | small,
        engine_finish_reason=maybe_words,
        canceled=st.booleans(),
    ),
    st.builds(
        lambda kind, message, wait: Failed(ERROR_KINDS[kind](message, retry_after_ms=wait)),
        st.sampled_from(sorted(ERROR_KINDS)),
        words,
        st.none() | small,
    ),
)


@pytest.mark.req("ADAPT-3001a")
@given(event=events)
def test_the_payload_fulfils_its_schema_and_leaves_the_unknown_out(event: TokenEvent) -> None:
    schema = specs.load().schema("adapter", event.kind)
    Draft202012Validator(schema).validate(dict(event.data))
    assert None not in event.data.values()


@pytest.mark.req("ADAPT-3010g")
def test_both_names_of_the_decode_time_say_the_same() -> None:
    data = End(tokens_out=3, decode_time_ms=17).data
    assert (data["decode_time_ms"], data["decode_ms"]) == (17, 17)
    assert "canceled" not in data


def test_a_canceled_end_says_so() -> None:
    end = End(tokens_out=0, decode_time_ms=0, finish_reason=FinishReason.CANCELED, canceled=True)
    assert end.data["canceled"] is True
    assert end.data["finish_reason"] == "canceled"


def test_metrics_give_a_copy() -> None:
    values = {"queue_depth": 1}
    Metrics(values).data["queue_depth"] = 2
    assert values == {"queue_depth": 1}


@pytest.mark.req("ADAPT-3002", "AH-1005")
def test_the_error_tree_is_the_one_of_the_specification() -> None:
    rows = specs.load().worker_errors
    assert set(ERROR_KINDS) == set(rows)
    for kind, error in ERROR_KINDS.items():
        assert issubclass(error, WorkerError)
        assert error.kind == kind
        assert error("x").retriable == rows[kind].retriable
        assert error("x", retriable=not rows[kind].retriable).retriable != rows[kind].retriable


def test_an_error_tells_its_advice() -> None:
    error = ERROR_KINDS["PoolUnavailable"]("connect: refused", retry_after_ms=250, upstream_status=503)
    assert repr(error) == "PoolUnavailable('connect: refused', retriable=True, retry_after_ms=250)"
    assert (str(error), error.upstream_status) == ("connect: refused", 503)


@pytest.mark.req("HTU-1004g")
def test_what_a_person_wrote_is_in_no_repr() -> None:
    canary = "my private words"
    request = TaskRequest(
        task_id=TaskId("t"),
        prompt=canary,
        messages=(Message("user", canary),),
        inputs=(canary,),
        sampling=Sampling(stop=(canary,)),
    )
    end = End(tokens_out=0, decode_time_ms=0, result=canary)
    assert not [shown for shown in (request, request.messages, request.sampling, end) if canary in repr(shown)]
