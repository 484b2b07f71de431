"""The judge of events, held against the runtime's own order machine and against the schemas of the documents."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import specs
from adapter_api import (
    End,
    Failed,
    FrameOrder,
    JsonValue,
    Metrics,
    OrderViolation,
    Started,
    Token,
    TokenEvent,
    WorkerReset,
)
from conformance.oracle import OrderOracle, SchemaOracle

SPEC = specs.load()
TABLE = SPEC.frame_order("adapter")
SCHEMAS = SchemaOracle(SPEC, TABLE.events)

events: st.SearchStrategy[TokenEvent] = st.one_of(
    st.just(Started()),
    st.builds(Token, st.sampled_from(["a", ""]), st.integers(0, 3)),
    st.just(Metrics({"queue_depth": 1})),
    st.just(End(tokens_out=0, decode_time_ms=0)),
    st.just(Failed(WorkerReset("gone"))),
)


def accepted(oracle: OrderOracle, event: TokenEvent) -> bool:
    return not list(oracle.accept(event.kind, event.data))


@pytest.mark.req("ADAPT-3010")
@given(stream=st.lists(events, max_size=8))
def test_oracle_and_runtime_agree_on_the_first_violation(stream: list[TokenEvent]) -> None:
    oracle, machine = OrderOracle(TABLE), FrameOrder()
    for event in stream:
        try:
            machine.accept(event)
        except OrderViolation:
            assert not accepted(oracle, event)
            return
        assert accepted(oracle, event)
        assert oracle.is_over == machine.is_done
    assert bool(list(oracle.at_end())) != machine.is_done


@pytest.mark.parametrize(
    ("kinds", "check_id"),
    [
        (["token"], "FRM-02"),
        (["end"], "FRM-02"),
        (["started", "started"], "FRM-01"),
        (["metrics", "started"], "FRM-04"),
        (["started", "end", "token"], "FRM-05"),
        (["started", "end", "end"], "FRM-05"),
        (["error", "error"], "FRM-05"),
        (["started", "end", "error"], "FRM-06"),
        (["error", "end"], "FRM-06"),
        (["started", "usage"], "FRM-15"),
    ],
)
def test_each_kind_of_disorder_has_its_check(kinds: list[str], check_id: str) -> None:
    oracle = OrderOracle(TABLE)
    found = [finding.check_id for kind in kinds for finding in oracle.accept(kind, {"i": 0, "t": "x"})]
    assert found[0] == check_id


@pytest.mark.parametrize(
    ("payload", "check_id"),
    [({"i": 1, "t": "x"}, "FRM-03"), ({"i": 0, "t": ""}, "FRM-14"), ({"i": 0, "t": "\ud83e"}, "FRM-14")],
)
def test_a_wrong_token_is_told_apart(payload: dict[str, JsonValue], check_id: str) -> None:
    oracle = OrderOracle(TABLE)
    assert not list(oracle.accept("started", {}))
    assert [finding.check_id for finding in oracle.accept("token", payload)] == [check_id]


END: dict[str, JsonValue] = {"tokens_out": 3, "decode_time_ms": 1, "decode_ms": 1, "finish_reason": "stop"}


@pytest.mark.req("ADAPT-3001a")
@pytest.mark.parametrize(
    ("change", "check_id"),
    [
        ({}, None),
        ({"canceled": True}, None),
        ({"tokens_out": -1}, "SCH-01"),
        ({"finish_reason": "eos"}, "SCH-01"),
        ({"stop_type": "eos"}, "SCH-03"),
        ({"tokens_out": 3.0}, "SCH-04"),
        ({"tokens_out": True}, "SCH-04"),
        ({"result": [math.nan]}, "SCH-04"),
        ({"result": {1, 2}}, "SCH-04"),
    ],
)
def test_payloads_are_held_to_the_schema(change: dict[str, JsonValue], check_id: str | None) -> None:
    found = [finding.check_id for finding in SCHEMAS.check("end", END | change)]
    assert found == ([check_id] if check_id else [])


@given(event=events.filter(lambda event: event.data.get("t") != ""))
def test_what_the_runtime_makes_fits(event: TokenEvent) -> None:
    assert not list(SCHEMAS.check(event.kind, event.data))
