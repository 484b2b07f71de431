"""Reads JSON Schemas into the rows of a table: name, type, default, range and meaning of each property.

It follows references within a schema, sees through "this or null" and steps into tables within tables, whose keys get a
dotted name. What is written for machines only (a credential that may not be given in plain) is left out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .markdown import code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Rule = Mapping[str, object]

_NULL = {"type": "null"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One property; the texts are Markdown, empty where there is nothing to say."""

    name: str
    type: str
    default: str
    limits: str
    meaning: str
    is_required: bool


def rows(schema: Rule, *, definitions: Rule | None = None, prefix: str = "") -> Iterator[Row]:
    """Return the rows of an object's properties, in the order of the schema."""
    known = cast("Rule", schema.get("$defs", {})) if definitions is None else definitions
    required = cast("list[str]", schema.get("required", []))
    for name, given in cast("Mapping[str, Rule]", schema.get("properties", {})).items():
        rule = _plain(given, known)
        if "not" in rule:
            continue
        inner = _inner(rule, known)
        if inner is None:
            yield _row(f"{prefix}{name}", rule, known, is_required=name in required)
        else:
            yield from rows(inner[1], definitions=known, prefix=f"{prefix}{name}{inner[0]}")


def _row(name: str, rule: Rule, definitions: Rule, *, is_required: bool) -> Row:
    default = rule.get("default")
    return Row(
        name=name,
        type=type_of(rule, definitions),
        default="" if default in (None, "") else code(json.dumps(default, ensure_ascii=False)),
        limits=_limits(rule),
        meaning=str(rule.get("description", "")),
        is_required=is_required,
    )


def type_of(rule: Rule, definitions: Rule) -> str:
    """Return the type of a rule in words."""
    rule = _plain(rule, definitions)
    if "const" in rule:
        return code(json.dumps(rule["const"]))
    if "enum" in rule:
        return ", ".join(code(value) for value in cast("list[object]", rule["enum"]))
    if "anyOf" in rule:
        return " or ".join(dict.fromkeys(type_of(choice, definitions) for choice in cast("list[Rule]", rule["anyOf"])))
    if rule.get("type") == "array" and "items" in rule:
        return f"list of {_of_items(cast('Rule', rule['items']), definitions)}"
    if rule.get("format") == "uuid":
        return "UUID"
    return str(rule.get("type", "any"))


def _of_items(items: Rule, definitions: Rule) -> str:
    items = _plain(items, definitions)
    if "discriminator" in items:
        return "steps"
    return type_of(items, definitions)


def _inner(rule: Rule, definitions: Rule) -> tuple[str, Rule] | None:
    """Return what joins the name to those of the inner table, and that table, where the rule has one."""
    if "properties" in rule:
        return ".", rule
    items = _plain(cast("Rule", rule.get("items", {})), definitions)
    return ("[].", items) if "properties" in items else None


def _plain(rule: Rule, definitions: Rule) -> Rule:
    """Return the rule with its reference followed and its null left out."""
    target = str(rule.get("$ref", "")).removeprefix("#/$defs/")
    if target:
        rule = {**cast("Rule", definitions[target]), **rule}
    choices = [choice for choice in cast("list[Rule]", rule.get("anyOf", [])) if choice != _NULL]
    if len(choices) == 1:
        return _plain({**choices[0], **{key: value for key, value in rule.items() if key != "anyOf"}}, definitions)
    return rule


def _limits(rule: Rule) -> str:
    least, most, above = rule.get("minimum"), rule.get("maximum"), rule.get("exclusiveMinimum")
    if least is not None and most is not None:
        return f"{least} to {most}"
    bound = f"from {least}" if least is not None else f"above {above}" if above is not None else ""
    said = str(rule.get("$comment", "")).removeprefix("expected ")
    return bound or said or (code(rule["pattern"]) if "pattern" in rule else "")
