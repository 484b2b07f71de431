"""The judge of events, held against the runtime's own order machine and against the schemas of the documents."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import specs
from adapter_api import (
    ERROR_KINDS,
    AdapterError,
    End,
    Failed,
    FrameOrder,
    JsonValue,
    Metrics,
    OrderViolation,
    Started,
    Token,
    TokenEvent,
    WorkerError,
    WorkerReset,
)
from conformance.oracle import ErrorOracle, OrderOracle, SchemaOracle
from specs import FrameOrderTable

if TYPE_CHECKING:
    from collections.abc import Sequence

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


LEGAL = re.compile(r"(S[TM]*[EX]|X)?")
UNFINISHED = re.compile(r"(S[TM]*)?")
LETTERS = {"started": "S", "token": "T", "metrics": "M", "end": "E", "error": "X", "usage": "?"}
kinds = st.lists(st.sampled_from(sorted(LETTERS)), max_size=7)


def judged(stream: Sequence[str], table: FrameOrderTable = TABLE) -> list[list[str]]:
    """Return the ids found at each event; tokens are numbered as they should be."""
    oracle, found, tokens = OrderOracle(table), list[list[str]](), 0
    for kind in stream:
        found.append([finding.check_id for finding in oracle.accept(kind, {"i": tokens, "t": "x"})])
        tokens += kind == "token"
    found.append([finding.check_id for finding in oracle.at_end()])
    return found


def modelled(stream: Sequence[str]) -> list[list[str]]:
    """The same by what the events before have in common, without a table and without states."""
    found, taken = list[list[str]](), ""
    for kind in stream:
        letter, has_begun = LETTERS[kind], "S" in taken
        last_word = next((each for each in taken if each in "EX"), "")
        ids = {
            "FRM-15": letter == "?",
            "FRM-04": letter == "M" and (not has_begun or bool(last_word)),
            "FRM-06": {letter, last_word} == {"E", "X"},
            "FRM-05": bool(last_word) and letter != "?" and {letter, last_word} != {"E", "X"},
            "FRM-01": letter == "S" and has_begun and not last_word,
            "FRM-02": letter in "TE" and not has_begun and not last_word,
        }
        found.append([check_id for check_id, is_broken in ids.items() if is_broken])
        taken += letter if not any(ids.values()) else ""
    is_over = any(each in "EX" for each in taken)
    return [*found, [] if is_over else ["LIF-03"]]


@pytest.mark.req("ADAPT-3010")
@given(stream=kinds)
def test_oracle_and_a_model_without_states_blame_the_same_rules(stream: list[str]) -> None:
    assert [sorted(ids) for ids in judged(stream)] == [sorted(ids) for ids in modelled(stream)]


@pytest.mark.req("ADAPT-3010", "ADAPT-3010b", "ADAPT-3010c")
@given(stream=kinds)
def test_the_oracle_accepts_what_one_line_says(stream: list[str]) -> None:
    letters = "".join(LETTERS[kind] for kind in stream)
    *found, at_end = judged(stream)
    assert any(found) is not bool(LEGAL.fullmatch(letters) or UNFINISHED.fullmatch(letters))
    assert any(found) or bool(at_end) is bool(UNFINISHED.fullmatch(letters))


@given(stream=kinds, more=kinds)
def test_what_comes_later_does_not_change_what_was_found(stream: list[str], more: list[str]) -> None:
    assert judged([*stream, *more])[: len(stream)] == judged(stream)[:-1]


states = st.sampled_from(["a", "b", "c"])
tables = st.builds(
    lambda initial, final, steps: FrameOrderTable(
        boundary="adapter",
        initial=initial,
        final=frozenset(final),
        transitions={(origin, event): target for origin, event, target in steps if origin not in final},
    ),
    states,
    st.sets(states, min_size=1, max_size=2),
    st.lists(st.tuples(states, st.sampled_from(sorted(LETTERS)), states), min_size=1, max_size=9),
)


@given(table=tables, picks=st.lists(st.integers(0, 5), max_size=6), stray=st.sampled_from(sorted(LETTERS)))
def test_any_table_is_walked_and_left_where_it_says(table: FrameOrderTable, picks: list[int], stray: str) -> None:
    state, walk = table.initial, list[str]()
    for pick in picks:
        if legal := sorted(table.legal(state)):
            walk.append(legal[pick % len(legal)])
            state = table.transitions[state, walk[-1]]
    *found, at_end = judged(walk, table)
    assert not any(found)
    assert bool(at_end) is (state not in table.final)
    is_legal = (state, stray) in table.transitions
    assert bool(judged([*walk, stray], table)[len(walk)]) is not is_legal


@pytest.mark.req("ADAPT-3010a")
@given(indices=st.lists(st.integers(-1, 4), max_size=6))
def test_each_index_but_the_next_is_a_finding(indices: list[int]) -> None:
    oracle = OrderOracle(TABLE)
    assert not list(oracle.accept("started", {}))
    found = [bool(list(oracle.accept("token", {"i": index, "t": "x"}))) for index in indices]
    assert found == [index != place for place, index in enumerate(indices)]


ERRORS = ErrorOracle(SPEC)


@pytest.mark.req("ADAPT-3002e")
@pytest.mark.parametrize("kind", sorted(ERROR_KINDS))
def test_the_kinds_of_the_documents_have_their_classes(kind: str) -> None:
    error, finer = ERROR_KINDS[kind], type("Finer", (ERROR_KINDS[kind],), {})
    assert not list(ERRORS.check(error("words")))
    assert not list(ERRORS.check(finer("words")))


@pytest.mark.req("ADAPT-3002e")
@pytest.mark.parametrize(
    ("base", "kind", "actual"),
    [
        (WorkerError, "Internal", "a Wrong that is none"),
        (WorkerError, "WorkerReset", "a Wrong that is none"),
        (WorkerReset, "DecodeTimeout", "a Wrong that is none"),
        (WorkerReset, "rate_limited", "a Wrong of kind 'rate_limited'"),
        (AdapterError, "AdapterError", "a Wrong of kind 'AdapterError'"),
        (AdapterError, "", "a Wrong of kind ''"),
    ],
)
def test_a_kind_that_is_none_or_not_that_of_the_class_is_a_finding(
    base: type[WorkerError], kind: str, actual: str
) -> None:
    wrong = type("Wrong", (base,), {"kind": kind})
    assert [(each.check_id, each.actual) for each in ERRORS.check(wrong("words"))] == [("ERR-02", actual)]


@pytest.mark.req("ADAPT-3002e")
def test_a_kind_in_an_event_belongs_to_the_check_of_kinds() -> None:
    payload = {"kind": "rate_limited", "message": "words", "retriable": True}
    assert [each.check_id for each in SCHEMAS.check("error", payload)] == ["ERR-02"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=True) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(name=st.sampled_from([*END, "tokens_in", "canceled", "stop_type"]), value=json_values)
def test_one_field_of_an_end_is_judged_by_what_it_may_be(name: str, value: JsonValue) -> None:
    is_count = type(value) is int and value >= 0
    legal = {"finish_reason": value == "stop", "canceled": value is True, "stop_type": False}.get(name, is_count)
    assert bool(list(SCHEMAS.check("end", END | {name: value}))) is not legal


@given(name=st.sampled_from(sorted(END)))
def test_no_field_of_an_end_may_be_missing(name: str) -> None:
    payload = {each: value for each, value in END.items() if each != name}
    assert [each.check_id for each in SCHEMAS.check("end", payload)] == ["SCH-01"]
