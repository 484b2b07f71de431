"""`adapter_api` says what `specs/adapter-api.md` and `specs/errors.md` say."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import specs
from adapter_api import (
    ERROR_KINDS,
    TRANSITIONS,
    End,
    EventKind,
    Failed,
    FinishReason,
    FrameOrder,
    Metrics,
    OrderState,
    OrderViolation,
    Started,
    Token,
    TokenEvent,
    WorkerProps,
)

SPEC = specs.load()
ORDER = SPEC.frame_order("adapter")
VALIDATORS = {kind: Draft202012Validator(dict(SPEC.schema("adapter", kind))) for kind in EventKind}

counts = st.integers(0, 2**63)
words = st.text(max_size=20)
EVENTS: dict[EventKind, st.SearchStrategy[TokenEvent]] = {
    EventKind.STARTED: st.builds(
        Started,
        engine_version=st.none() | words,
        model_digest=st.none() | words,
        sampler_profile_version=st.none() | words,
        seed=st.none() | st.integers(-(2**63), 2**63 - 1),
        tokens_in=st.none() | counts,
        kv_warmth=st.none() | st.booleans(),
    ),
    EventKind.TOKEN: st.builds(Token, t=st.text(min_size=1, max_size=20), i=counts),
    EventKind.METRICS: st.builds(Metrics, st.dictionaries(st.text(max_size=5), st.integers() | st.floats() | words)),
    EventKind.END: st.builds(
        End,
        tokens_out=counts,
        decode_time_ms=counts,
        finish_reason=st.sampled_from(FinishReason),
        tokens_in=st.none() | counts,
        engine_finish_reason=st.none() | words,
        canceled=st.booleans(),
        result=st.none() | st.lists(st.floats()),
    ),
    EventKind.ERROR: st.builds(
        Failed,
        st.builds(
            lambda error, message, retriable, wait_ms: error(message, retriable=retriable, retry_after_ms=wait_ms),
            st.sampled_from(list(ERROR_KINDS.values())),
            words,
            st.none() | st.booleans(),
            st.none() | counts,
        ),
    ),
}


@pytest.mark.req("ADAPT-3010")
def test_the_transition_table_is_the_document_s() -> None:
    assert {(state.value, event.value): to.value for (state, event), to in TRANSITIONS.items()} == ORDER.transitions
    assert FrameOrder().state.value == ORDER.initial
    assert {OrderState.DONE.value} == ORDER.final


@pytest.mark.req("ADAPT-3001")
def test_the_kinds_of_event_are_the_document_s() -> None:
    assert {kind.value for kind in EventKind} == ORDER.events


@pytest.mark.req("ADAPT-3010")
@given(data=st.data(), kinds=st.lists(st.sampled_from(EventKind), max_size=8))
def test_the_machine_takes_what_the_table_allows_and_nothing_else(data: st.DataObject, kinds: list[EventKind]) -> None:
    machine, state = FrameOrder(), ORDER.initial
    for kind in kinds:
        event: TokenEvent = Token("x", machine.tokens) if kind is EventKind.TOKEN else data.draw(EVENTS[kind])
        if kind in ORDER.legal(state):
            machine.accept(event)
            state = ORDER.transitions[state, kind]
        else:
            with pytest.raises(OrderViolation):
                machine.accept(event)
        assert machine.state.value == state
        assert machine.is_done == (state in ORDER.final)


@pytest.mark.req("ADAPT-3002", "AH-1005")
def test_the_error_tree_is_the_document_s() -> None:
    assert {kind: error.retriable_by_default for kind, error in ERROR_KINDS.items()} == {
        kind: row.retriable for kind, row in SPEC.worker_errors.items()
    }
    assert set(SPEC.schema("adapter", "error")["properties"]["kind"]["enum"]) == set(ERROR_KINDS)  # type: ignore[index]


@pytest.mark.req("ADAPT-3001a", "ADAPT-3003")
@pytest.mark.parametrize("kind", list(EventKind))
@given(data=st.data())
def test_every_payload_fulfils_its_schema(kind: EventKind, data: st.DataObject) -> None:
    VALIDATORS[kind].validate(data.draw(EVENTS[kind]).data)


@pytest.mark.req("ADAPT-3001a")
@pytest.mark.parametrize("kind", list(EventKind))
def test_every_field_of_a_schema_can_occur(kind: EventKind) -> None:
    full: dict[EventKind, TokenEvent] = {
        EventKind.STARTED: Started(
            engine_version="1", model_digest="d", sampler_profile_version="p", seed=1, tokens_in=1, kv_warmth=True
        ),
        EventKind.TOKEN: Token("x", 0),
        EventKind.METRICS: Metrics({"queue_depth": 1, "on_time_probability": 0.5, "kv_warmth": True}),
        EventKind.END: End(
            tokens_out=1,
            decode_time_ms=1,
            finish_reason=FinishReason.OTHER,
            tokens_in=1,
            engine_finish_reason="w",
            canceled=True,
            result=[],
        ),
        EventKind.ERROR: Failed(ERROR_KINDS["WorkerReset"]("m", retry_after_ms=1)),
    }
    assert set(full[kind].data) == set(SPEC.schema("adapter", kind)["properties"])  # type: ignore[call-overload]


@pytest.mark.req("ADAPT-3010h")
@pytest.mark.parametrize("boundary", ["adapter", "wire"])
def test_the_reasons_for_ending_are_the_document_s(boundary: str) -> None:
    properties = SPEC.schema(boundary, "end")["properties"]
    assert properties["finish_reason"]["enum"] == [reason.value for reason in FinishReason]  # type: ignore[index]


@pytest.mark.req("ADAPT-3004")
def test_what_an_adapter_reports_has_the_names_of_log_fields_and_metrics() -> None:
    told = {name for event in ("started", "end") for name in SPEC.schema("adapter", event)["properties"]}  # type: ignore[attr-defined]
    known = {*SPEC.log.fields, *SPEC.metrics}
    other_words = {"kv_warmth", "decode_ms", "finish_reason", "engine_finish_reason", "canceled", "result"}
    assert told - known == other_words
    assert {"queue_depth", "kv_cache_usage_ratio"} <= {
        field.name for field in fields(WorkerProps)
    } & SPEC.metrics.keys()


@pytest.mark.req("OC-CTRL-2020a")
@given(event=EVENTS[EventKind.TOKEN] | EVENTS[EventKind.END] | EVENTS[EventKind.METRICS])
def test_what_an_adapter_gives_can_go_onto_the_wire_as_it_is(event: TokenEvent) -> None:
    Draft202012Validator(dict(SPEC.schema("wire", event.kind))).validate(event.data)
