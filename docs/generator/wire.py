"""The blocks of the HTTP page: routes, fields of bodies and frames, headers, examples.

The schemas of the specification say what a field is; what it is for stands in `MEANINGS`, one entry for each field, so
that a new field cannot go undescribed.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import specs

from .markdown import code, table
from .meanings import MEANINGS
from .shapes import rows

if TYPE_CHECKING:
    from .shapes import Row


def routes() -> str:
    """Return every route."""
    return table(
        ["method and path", "what it does", "success", "failures"],
        (
            (code(f"{route.method} {route.path}"), _does(route), _success(route), _failures(route))
            for route in _routes()
        ),
    )


def fields(boundary: str, event: str) -> str:
    """Return the fields of a body ("http") or of a frame ("wire")."""
    meanings = MEANINGS[event]
    return table(
        ["field", "type", "required", "meaning"],
        (
            (code(row.name), _type(row), "yes" if row.is_required else "", meanings[row.name])
            for row in rows(specs.load().schema(boundary, event))
        ),
    )


def headers(situation: str) -> str:
    """Return the headers that are there in a situation."""
    return ", ".join(code(name) for name in specs.load().headers(situation)) + "."


def _routes() -> tuple[specs.Route, ...]:
    return specs.load().routes


def _does(route: specs.Route) -> str:
    return route.does + (" (open: asks for no token)" if route.is_open else "")


def _success(route: specs.Route) -> str:
    return f"{route.success} {code(route.body) if route.body else HTTPStatus(route.success).phrase}"


def _failures(route: specs.Route) -> str:
    return ", ".join(map(str, route.failures))


def _type(row: Row) -> str:
    return f"{row.type}, {row.limits}" if row.limits else row.type
