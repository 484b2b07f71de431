"""The JSON Schema of the file, and the check of a file's shape against it.

The schema is generated from `model.py` and the same text every time; `schema.json` beside this file is that text. The
check reads the schema and not the types, because a schema tells every problem at once and a decoder stops at the first.

Implements: OC-CONFIG-6001, OC-CONFIG-6010.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, cast

import msgspec

from adapter_api import load_factory

from .model import ConfigFile
from .settings import file_form
from .shape import shape_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from adapter_api import AdapterFactory

    from .problems import Problem

_MAPS = ("properties", "$defs")  # their keys are names, not keywords: one property is called `default`
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@cache
def file_schema() -> dict[str, object]:
    """JSON Schema (2020-12) of the configuration file."""
    generated = msgspec.json.schema(ConfigFile, schema_hook=lambda _: {"description": "Depends on the engine."})
    return {"$schema": DIALECT, **cast("dict[str, object]", _tidy(generated))}


def schema_text() -> str:
    """The schema as the file that is shipped."""
    return json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"


def full_schema_text(engines: Iterable[str], factories: Callable[[str], AdapterFactory] = load_factory) -> str:
    """The schema with the settings of these engines in it: a pool's `engine` decides what its replicas may say."""
    schema = json.loads(schema_text())
    for engine in engines:
        settings = _moved_definitions(file_form(factories(engine).settings_schema), engine, schema["$defs"])
        schema["$defs"]["PoolConfig"].setdefault("allOf", []).append(_when(engine, settings))
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def check_shape(data: Mapping[str, object]) -> list[Problem]:
    """Find unknown and missing keys, wrong types and values out of range."""
    return shape_problems(data, file_schema())


def _moved_definitions(schema: object, engine: str, definitions: dict[str, object]) -> dict[str, object]:
    """Move a schema's own definitions among those of the file, under names that cannot clash."""
    text = json.dumps(schema).replace('"#/$defs/', f'"#/$defs/{engine}.')
    moved = cast("dict[str, object]", json.loads(text))
    moved.pop("$schema", None)
    own = cast("dict[str, object]", moved.pop("$defs", {}))
    definitions.update({f"{engine}.{name}": rule for name, rule in own.items()})
    return moved


def _when(engine: str, settings: dict[str, object]) -> dict[str, object]:
    replica = {"properties": {"settings": settings}}
    return {
        "if": {"properties": {"engine": {"const": engine}}, "required": ["engine"]},
        "then": {"properties": {"replicas": {"items": replica}}},
    }


def _tidy(node: object) -> object:
    """Leave out what TOML cannot say: null, and a table's default, which is the sum of its keys' defaults."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _tidy_names(value) if key in _MAPS else _tidy(value) for key, value in node.items()}
    if kept.get("default", ()) is None or isinstance(kept.get("default"), dict):
        del kept["default"]
    choices = kept.pop("anyOf", None)
    if isinstance(choices, list):
        kept.update(*(choice for choice in choices if choice != {"type": "null"}))
    if kept.get("required") == []:
        del kept["required"]
    return kept


def _tidy_names(named: dict[str, object]) -> dict[str, object]:
    return {name: _tidy(rule) for name, rule in named.items()}
