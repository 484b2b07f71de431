"""The public surface of each library package: sorted, complete and real."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING

import pytest

import adapter_api
import adapter_host

if TYPE_CHECKING:
    from types import ModuleType

PACKAGES = [adapter_api, adapter_host]
INNER = {
    *("Known", "Pools", "ReadsAhead", "Registry", "Stop", "Streams", "Teller", "TimeLeft", "Tries"),
    *("as_worker_error", "only_worker_errors", "stopped_stream", "without_quotes", "breaker_note", "note"),
    *("capabilities_of", "health_of", "props_of", "counts_against_engine", "exhausted", "let_through", "may_help"),
}
"""What modules of one package share among themselves and keep from others."""


def modules_of(package: ModuleType) -> list[ModuleType]:
    names = [info.name for info in pkgutil.iter_modules(package.__path__)]
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_the_list_is_sorted_and_every_name_is_there(package: ModuleType) -> None:
    names: list[str] = package.__all__
    constants_first = sorted(names, key=lambda name: (not name.isupper(), name.islower(), name))
    assert names == constants_first
    assert all(hasattr(package, name) for name in names)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_class_and_function_is_exported(package: ModuleType) -> None:
    defined = {
        name
        for module in modules_of(package)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }
    assert defined - set(package.__all__) <= INNER


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_its_modules_are_private(package: ModuleType) -> None:
    assert all(module.__name__.rpartition(".")[2].startswith("_") for module in modules_of(package))
