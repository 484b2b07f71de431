"""Reading the words of a set out of the documents, by the names that the table of agreements gives to places.

table:NAME                       the first column of a table
order:BOUNDARY                   the events of a transition table
enum:BOUNDARY/EVENT/PROPERTY     an enumeration in a schema, dots stepping into properties
properties:BOUNDARY/EVENT        the properties of a schema, or behind a further / those of a property in it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .facts import Word
from .finding import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from specs import Specification

    from .facts import Project

    Rule = Mapping[str, object]


def _routes(spec: Specification) -> Iterable[str]:
    return (f"{route.method} {route.path}" for route in spec.routes)


def _environment(spec: Specification) -> Iterable[str]:
    return (name for row in spec.environment for name in (row.name, *row.aliases))


_TABLES: dict[str, Callable[[Specification], Iterable[str]]] = {
    "routes": _routes,
    "metrics": lambda spec: spec.metrics,
    "error-codes": lambda spec: spec.errors,
    "worker-errors": lambda spec: spec.worker_errors,
    "environment": _environment,
}


def words_of(project: Project, source: str) -> list[Word]:
    """Return the words at a place of the documents; none if it is not there."""
    kind, _, rest = source.partition(":")
    match kind:
        case "table":
            return _in_table(project, rest)
        case "order":
            return _in_order(project, rest)
        case "enum":
            return _in_schema(project, *rest.split("/"))
        case "properties":
            return _properties(project, *rest.split("/"))
        case _:
            return []


def _in_table(project: Project, table: str) -> list[Word]:
    found = _TABLES[table](project.spec) if table in _TABLES else ()
    return [Word(word, project.place_of(table, word=word.partition(" ")[2] or word)) for word in found]


def _in_order(project: Project, boundary: str) -> list[Word]:
    try:
        events = project.spec.frame_order(boundary).events
    except KeyError:
        return []
    return [Word(event, project.place_of("frame-order", boundary, word=event)) for event in sorted(events)]


def _in_schema(project: Project, *path: str) -> list[Word]:
    rule = _rule(project, *path) if len(path) == 3 else None
    values = cast("list[object]", (rule or {}).get("enum", []))
    return [Word(str(value), _place(project, path[0], path[1], path[2])) for value in values]


def _properties(project: Project, *path: str) -> list[Word]:
    rule = _rule(project, *path) if len(path) in {2, 3} else None
    names = cast("Rule", (rule or {}).get("properties", {}))
    return [Word(name, _place(project, path[0], path[1], name)) for name in names]


def _rule(project: Project, boundary: str, event: str, steps: str = "") -> Rule | None:
    """Return a schema, or the one that is some steps inside it; None if there is none."""
    if (boundary, event) not in project.spec.schemas:
        return None
    rule: Rule | None = project.spec.schema(boundary, event)
    for step in steps.split(".") if steps else ():
        rule = _step(rule, step)
    return rule


def _place(project: Project, boundary: str, event: str, steps: str) -> Place:
    word = steps.removesuffix(".items").rpartition(".")[2]
    return Place(*project.spec.place("schema", boundary, event, word=word))


def _step(rule: Rule | None, step: str) -> Rule | None:
    """Step into a property, or into the items of an array."""
    if rule is None:
        return None
    inner = rule.get("items") if step == "items" else cast("Rule", rule.get("properties", {})).get(step)
    return cast("Rule | None", inner)
