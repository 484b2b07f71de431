"""How mutated answers are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from .mutations import Bytes, Change, Ending, Field, Flip, Framing, Junk, Mutated, Odd, Part, Value
from .oddities import JUNK, ODD_HEADERS, ODD_PARTS, ODD_VALUES, STATUSES, Bulk

if TYPE_CHECKING:
    from collections.abc import Sequence

_place = st.integers(0, 2**16) | st.sampled_from((0, -1))
"""Somewhere, and often at one of the ends."""
_odd_values = st.sampled_from(ODD_VALUES)
_wire_changes = st.one_of(
    st.builds(Bytes, _place, st.integers(1, 300), st.sampled_from(Change)),
    st.builds(Flip, _place, st.integers(1, 255)),
    st.builds(Junk, _place, st.sampled_from(JUNK) | st.builds(Bulk, st.binary(max_size=40))),
)


def _tuples(changes: st.SearchStrategy[object], most: int) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(changes, max_size=most).map(tuple)


def mutated(names: Sequence[bytes]) -> st.SearchStrategy[Mutated]:
    """Return answers that may differ anywhere from a recorded one, fields of these names above all.

    Mostly they differ in one respect, so that the rest is understood.
    """
    part_changes = st.one_of(
        st.builds(Field, _place, st.sampled_from(names), st.none() | _odd_values) if names else st.nothing(),
        st.builds(Value, _place, _place, _odd_values),
        st.builds(Part, _place, st.sampled_from(Change), _place),
        st.builds(Odd, _place, st.sampled_from(ODD_PARTS)),
    )
    layers: dict[str, st.SearchStrategy[object]] = {
        "number": st.none() | st.integers(0, 7),
        "parts": _tuples(part_changes, 3),
        "status": st.none() | st.sampled_from(STATUSES),
        "headers": _tuples(st.sampled_from(ODD_HEADERS), 1),
        "framing": st.none() | st.sampled_from(Framing),
        "wire": _tuples(_wire_changes, 2),
        "slices": _tuples(st.sampled_from((1, 2, 7, 100, 5000)), 3),
        "pause_s": st.sampled_from((0.0, 0.0, 0.001, 1.0, 4.0)),
        "ending": st.sampled_from(Ending),
    }
    together = (
        ("parts", "slices"),
        ("parts", "ending", "pause_s"),
        ("status", "parts", "headers"),
        ("framing", "headers", "parts"),
        ("wire", "slices"),
        tuple(layers),
    )
    return st.one_of([st.builds(Mutated, **{name: layers[name] for name in names}) for names in together])
