"""The blocks of the configuration page, from the JSON Schema of the file and of each adapter's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import specs
from adapter_api import load_factory
from orchestratord.config import file_schema
from orchestratord.config.env import OVERRIDES
from orchestratord.config.settings import file_form

from .markdown import code, table
from .shapes import rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .shapes import Row

_ELSEWHERE = {"PoolConfig": ("replicas[].", "queue.", "timeouts.", "retry.", "breaker.", "health."), "ConfigFile": ()}
"""Tables inside a table that have a block of their own."""


def table_of(definition: str) -> str:
    """Return the keys of one table of the file."""
    definitions = cast("Mapping[str, Mapping[str, object]]", file_schema()["$defs"])
    found = rows(definitions[definition], definitions=definitions)
    elsewhere = _ELSEWHERE.get(definition, ())
    return _keys(row for row in found if not row.name.startswith(elsewhere))


def settings_of(engine: str) -> str:
    """Return the keys of `settings` for one engine."""
    return _keys(rows(file_form(load_factory(engine).settings_schema)))


def steps() -> str:
    """Return the steps of a script of the mock engine."""
    schema = load_factory("mock").settings_schema
    definitions = cast("Mapping[str, Mapping[str, object]]", schema["$defs"])
    found = (
        (rule, list(rows(rule, definitions=definitions)))
        for rule in definitions.values()
        if "do" in cast("Mapping[str, object]", rule.get("properties", {}))
    )
    return table(
        ["`do`", "keys", "what the engine does"],
        ((keys[0].type, _step_keys(keys[1:]), str(rule["description"])) for rule, keys in found),
    )


def environment() -> str:
    """Return the variables that override the file."""
    sets = {override.variable: f"{override.table}.{override.key}" for override in OVERRIDES}
    return table(
        ["variable", "sets", "default", "what it does"],
        (
            (
                ", ".join(code(name) for name in (variable.name, *variable.aliases)),
                code(sets[variable.name]) if variable.name in sets else "",
                code(variable.default) if variable.default else "",
                variable.does,
            )
            for variable in specs.load().environment
        ),
    )


def _keys(found: Iterable[Row]) -> str:
    return table(
        ["key", "type", "default", "range", "meaning"],
        (
            (
                code(row.name),
                row.type,
                "required" if row.is_required else row.default,
                row.limits,
                row.meaning,
            )
            for row in found
        ),
    )


def _step_keys(keys: Iterable[Row]) -> str:
    told = (f"{code(row.name)} ({row.type}{_default(row)})" for row in keys)
    return ", ".join(told)


def _default(row: Row) -> str:
    return ", required" if row.is_required else f", default {row.default}" if row.default else ""
