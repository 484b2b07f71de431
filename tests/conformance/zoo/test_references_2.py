"""Odd adapters that conform, one half of them: nobody may blame them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.zoo.hunting import assert_not_blamed, name, references

if TYPE_CHECKING:
    from conformance.zoo.animals import Reference


@pytest.mark.req("ADAPT-3001c")
@pytest.mark.parametrize("reference", references(1, 2), ids=name)
def test_an_odd_but_correct_adapter_is_not_blamed(reference: Reference) -> None:
    assert_not_blamed(reference)
