"""Reading the JSON of a block, strictly: a key that is there twice, or a keyword of a schema that is none, is an error.

Readers of JSON keep the last of two keys and validators ignore keywords that they do not know, so either would make a
document say less than it seems to.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from ._errors import Fault
from ._toml import find_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ._markdown import Block

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NAMED = ("properties", "patternProperties", "$defs", "dependentSchemas")
_LISTED = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "items", "additionalProperties", "contains", "not", "if", "then", "else", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_KEYWORDS = frozenset({
    *_NAMED, *_LISTED, *_SINGLE, "$schema", "$id", "$ref", "$anchor", "$dynamicRef", "$dynamicAnchor", "$comment",
    "$vocabulary", "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum",
    "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains",
    "maxProperties", "minProperties", "required", "dependentRequired", "title", "description", "default", "deprecated",
    "readOnly", "writeOnly", "examples", "format", "contentEncoding", "contentMediaType",
})  # fmt: skip


class _Twice(ValueError):
    """A key is there twice; the text is the key."""


def read_json(block: Block) -> object:
    """Return the value of a block; raise `SpecError` at the line of what is wrong."""
    if block.language != "json":
        raise block.error(f"a {block.kind} block is written in JSON, not {block.language or 'plain text'}")
    try:
        value: object = json.loads(block.text, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise block.error(f"not JSON: {error.msg}", error.lineno) from None
    except _Twice as error:
        message = f"the key {error} is there twice in one object"
        raise block.error(message, find_line(block.text, str(error), nth=2), Fault.TWICE) from None
    except (ValueError, RecursionError) as error:
        raise block.error(f"not JSON: {error}") from None
    return value


def read_schema(block: Block) -> Mapping[str, object]:
    """Return the JSON Schema of a block; raise `SpecError` if it is none."""
    schema = read_json(block)
    if not isinstance(schema, dict) or schema.get("$schema") != DIALECT:
        raise block.error(f'a schema is an object with "$schema": "{DIALECT}"', fault=Fault.SCHEMA)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        where = "/".join(map(str, error.absolute_path))
        last = next((step for step in reversed(error.absolute_path) if isinstance(step, str)), "")
        message = f"not a JSON Schema (2020-12) at {where}: {error.message}"
        raise block.error(message, find_line(block.text, f'"{last}"'), Fault.SCHEMA) from None
    if unknown := next(_unknown(schema), ""):
        message = f"{unknown} is no keyword of JSON Schema (2020-12), so it would rule nothing"
        raise block.error(message, find_line(block.text, unknown), Fault.SCHEMA)
    return schema


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen: dict[str, object] = {}
    for key, value in pairs:
        if key in seen:
            raise _Twice(key)
        seen[key] = value
    return seen


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _unknown(schema: object) -> Iterator[str]:
    """Yield keywords that are none, in a schema and in those inside it."""
    if not isinstance(schema, dict):
        return
    yield from (key for key in schema if key not in _KEYWORDS)
    inner = [schema[key] for key in _SINGLE if key in schema]
    inner += [each for key in _LISTED for each in schema.get(key, [])]
    inner += [each for key in _NAMED for each in schema.get(key, {}).values()]
    for each in inner:
        yield from _unknown(each)
