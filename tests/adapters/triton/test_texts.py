"""New text out of pieces and out of repetitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.triton.texts import Cumulative, Delta

pytestmark = pytest.mark.req("OC-ADAPT-5060c")

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=30)


def cuts(text: str | bytes) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(text)), max_size=6).map(sorted)


@given(data=st.data(), text=TEXT)
def test_pieces_of_bytes_never_end_inside_a_character(data: st.DataObject, text: str) -> None:
    raw, pieces = text.encode(), Delta()
    places = data.draw(cuts(raw))
    found = [pieces.take(raw[start:end]) for start, end in zip([0, *places], [*places, len(raw)], strict=True)]
    assert "".join(found) + pieces.rest() == text


def test_bytes_that_no_character_follows_end_as_a_stand_in() -> None:
    pieces = Delta()
    assert (pieces.take(b"caf\xc3"), pieces.rest()) == ("caf", "\ufffd")


@given(text=TEXT)
def test_a_piece_of_text_after_half_a_character_keeps_its_place(text: str) -> None:
    pieces = Delta()
    assert pieces.take(b"\xc3") + pieces.take("x" + text) + pieces.rest() == "\ufffdx" + text


@given(data=st.data(), text=TEXT)
def test_repeated_text_becomes_pieces(data: st.DataObject, text: str) -> None:
    pieces = Cumulative()
    found = [pieces.take(text[:end]) for end in [*data.draw(cuts(text)), len(text)]]
    assert "".join(found) + pieces.rest() == text


@given(data=st.data(), text=TEXT)
def test_repeated_bytes_cut_anywhere_become_whole_characters(data: st.DataObject, text: str) -> None:
    raw, pieces = text.encode(), Cumulative()
    found = [pieces.take(raw[:end]) for end in [*data.draw(cuts(raw)), len(raw)]]
    assert "".join(found) + pieces.rest() == text


def test_a_character_to_come_is_held_back() -> None:
    pieces = Cumulative()
    given_so_far = [pieces.take(text) for text in ("a", "a\ufffd", "a\ufffd\ufffd", "a🦊", "a🦊!")]
    assert given_so_far == ["a", "", "", "🦊", "!"]
    assert pieces.rest() == ""


def test_a_stand_in_that_stays_is_given_at_the_end() -> None:
    pieces = Cumulative()
    assert (pieces.take("a\ufffd"), pieces.rest()) == ("a", "\ufffd")


def test_text_that_gets_shorter_takes_nothing_back_and_repeats_nothing() -> None:
    pieces = Cumulative()
    assert [pieces.take(text) for text in ("one two STOP", "one two ", "one two ")] == ["one two STOP", "", ""]


def test_text_that_changes_goes_on_after_what_is_common() -> None:
    pieces = Cumulative()
    assert [pieces.take(text) for text in ("the cat", "the dog")] == ["the cat", "dog"]


def test_length_alone_decides_nothing() -> None:
    pieces = Cumulative()
    assert [pieces.take(text) for text in ("abc", "xbcd")] == ["abc", "xbcd"]
