"""Adapters are found by name, and a name that is not there says which are."""

from __future__ import annotations

import pytest

from adapter_api import AdapterNotFound, installed_engines, load_factory

pytestmark = pytest.mark.req("ADAPT-3000")


def test_lists_what_is_installed_sorted_and_once() -> None:
    engines = installed_engines()
    assert list(engines) == sorted(set(engines))
    assert {"llamacpp", "mock"} <= set(engines)


@pytest.mark.parametrize("engine", installed_engines())
def test_each_factory_speaks_for_its_own_engine(engine: str) -> None:
    factory = load_factory(engine)
    assert factory.engine == engine
    properties = factory.settings_schema["properties"]
    assert isinstance(properties, dict)
    assert all("description" in each for each in properties.values())


def test_an_unknown_engine_is_told_with_the_known_ones() -> None:
    with pytest.raises(AdapterNotFound, match=r"'vlm' is installed \(installed: .*llamacpp.*mock"):
        load_factory("vlm")
