"""The order machine against an independent reading of the contract, and every pair it must refuse."""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import (
    TRANSITIONS,
    End,
    EventKind,
    Failed,
    FrameOrder,
    Metrics,
    OrderState,
    OrderViolation,
    Started,
    Token,
    TokenEvent,
    WorkerReset,
)

EXAMPLES: dict[EventKind, TokenEvent] = {
    EventKind.STARTED: Started(),
    EventKind.TOKEN: Token("x", 0),
    EventKind.METRICS: Metrics({"queue_depth": 1}),
    EventKind.END: End(tokens_out=0, decode_time_ms=0),
    EventKind.ERROR: Failed(WorkerReset("gone")),
}
LETTERS = {
    EventKind.STARTED: "s",
    EventKind.TOKEN: "t",
    EventKind.METRICS: "m",
    EventKind.END: "e",
    EventKind.ERROR: "x",
}
PREFIX = re.compile(r"x|s[tm]*[ex]?")
"""The legal orders and their beginnings: `error` alone, or `started`, what may come between, and one terminal."""


def machine_at(state: OrderState) -> FrameOrder:
    order = FrameOrder()
    if state is not OrderState.IDLE:
        order.accept(Started())
    if state is OrderState.DONE:
        order.accept(EXAMPLES[EventKind.END])
    return order


@pytest.mark.req("ADAPT-3010", "OC-CTRL-2027")
@given(kinds=st.lists(st.sampled_from(EventKind), max_size=12))
def test_accepts_exactly_the_orders_of_the_contract(kinds: list[EventKind]) -> None:
    order = FrameOrder()
    passed = ""
    for kind in kinds:
        event = Token("x", order.tokens) if kind is EventKind.TOKEN else EXAMPLES[kind]
        is_legal = PREFIX.fullmatch(passed + LETTERS[kind]) is not None
        try:
            order.accept(event)
        except OrderViolation:
            assert not is_legal
        else:
            assert is_legal
            passed += LETTERS[kind]
    assert order.is_done == passed.endswith(("e", "x"))
    assert order.tokens == passed.count("t")


@pytest.mark.req("ADAPT-3010")
@pytest.mark.parametrize(
    ("state", "kind"), [pair for pair in product(OrderState, EventKind) if pair not in TRANSITIONS]
)
def test_refuses_every_pair_that_is_not_in_the_table(state: OrderState, kind: EventKind) -> None:
    order = machine_at(state)
    with pytest.raises(OrderViolation, match=f"`{kind}` while the stream is {state}; legal here: ") as refusal:
        order.accept(EXAMPLES[kind])
    legal = {legal for at, legal in TRANSITIONS if at is state}
    assert all(each.value in str(refusal.value) for each in legal)
    assert order.state is state


@pytest.mark.req("ADAPT-3010")
@pytest.mark.parametrize(("state", "kind"), list(TRANSITIONS))
def test_follows_every_pair_of_the_table(state: OrderState, kind: EventKind) -> None:
    order = machine_at(state)
    order.accept(EXAMPLES[kind])
    assert order.state is TRANSITIONS[state, kind]


@pytest.mark.req("ADAPT-3010")
def test_nothing_follows_the_terminal_state() -> None:
    assert not [kind for state, kind in TRANSITIONS if state is OrderState.DONE]


@pytest.mark.req("ADAPT-3010a")
@given(before=st.integers(0, 5), index=st.integers(-3, 10))
def test_tokens_count_from_zero_with_no_gap(before: int, index: int) -> None:
    order = machine_at(OrderState.OPEN)
    for at in range(before):
        order.accept(Token("x", at))
    if index == before:
        order.accept(Token("x", index))
        return
    with pytest.raises(OrderViolation, match=f"i={index}; expected i={before}"):
        order.accept(Token("x", index))
    assert order.tokens == before


@pytest.mark.req("ADAPT-3001b")
def test_an_empty_token_is_refused_and_does_not_count() -> None:
    order = machine_at(OrderState.OPEN)
    with pytest.raises(OrderViolation, match="empty text"):
        order.accept(Token("", 0))
    order.accept(Token("x", 0))
    assert order.tokens == 1


@pytest.mark.req("ADAPT-3010")
@pytest.mark.parametrize("state", list(OrderState))
def test_a_seal_ends_what_has_not_ended(state: OrderState) -> None:
    order = machine_at(state)
    assert order.seal() == (state is not OrderState.DONE)
    assert order.is_done
    assert not order.seal()
    with pytest.raises(OrderViolation):
        order.accept(Token("x", 0))


def test_shows_where_it_stands() -> None:
    order = machine_at(OrderState.OPEN)
    order.accept(Token("x", 0))
    assert repr(order) == "<FrameOrder open tokens=1>"
