"""Made-up text ends where a stop string begins, wherever its words are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.engines import made_up

words = st.lists(st.text("ab ", min_size=1, max_size=3), max_size=12)
stops = st.lists(st.text("ab ", min_size=1, max_size=4), max_size=3)


@pytest.mark.parametrize(
    ("stop", "keeps_stop", "expected"),
    [
        ((), False, ([" one", " two"], "length")),
        (("x",), False, ([" one", " two"], "length")),
        (("e t",), False, ([" on"], "stop_string")),
        (("e t",), True, ([" one", " t"], "stop_string")),
        ((" ",), False, ([], "stop_string")),
        (("two", "ne"), False, ([" o"], "stop_string")),
    ],
)
def test_where_an_answer_ends(stop: tuple[str, ...], keeps_stop: bool, expected: tuple[list[str], str]) -> None:
    assert made_up.answer([" one", " two"], stop, keeps_stop=keeps_stop) == expected


@given(words=words, stops=stops)
def test_nothing_is_said_from_the_first_stop_string_on(words: list[str], stops: list[str]) -> None:
    whole = "".join(words)
    said, reason = made_up.answer(words, stops)
    places = [whole.index(stop) for stop in stops if stop in whole]
    assert "".join(said) == whole[: min(places, default=len(whole))]
    assert (reason == "stop_string") is bool(places)
    assert all(said)
