"""The HTTP interface as an OpenAPI 3.1 file, made from the tables of routes, headers and error codes and the schemas.

Nothing stands in it that the documents do not say: the same bytes from the same documents.
"""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._model import Specification
    from ._rows import Route

    Member = Mapping[str, object]

_TITLE = "orchestratord"
_PARAMETER = re.compile(r"\{(\w+)\}")
_ERROR = 400
_TOO_MANY = 429


def openapi_text(spec: Specification) -> str:
    """Return the text of the file."""
    return json.dumps(openapi(spec), indent=2, ensure_ascii=False) + "\n"


def openapi(spec: Specification) -> Member:
    """Return the whole interface."""
    paths: dict[str, dict[str, object]] = {}
    for route in spec.routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(spec, route)
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": spec.api_version},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                _name(boundary, event): schema
                for (boundary, event), schema in sorted(spec.schemas.items())
                if boundary in {"http", "wire"}
            },
        },
    }


def _operation(spec: Specification, route: Route) -> Member:
    words = re.findall(r"\w+", f"{route.method.lower()} {route.path}")
    operation: dict[str, object] = {"operationId": "_".join(words), "summary": route.does}
    if route.is_open:
        operation["security"] = []
    if names := _PARAMETER.findall(route.path):
        required = {"in": "path", "required": True, "schema": {"type": "string"}}
        operation["parameters"] = [{"name": name, **required} for name in names]
    if route.takes:
        operation["requestBody"] = {"required": True, "content": _json(route.takes)}
    statuses = (route.success, *route.failures)
    return {**operation, "responses": {str(status): _response(spec, route, status) for status in statuses}}


def _response(spec: Specification, route: Route, status: int) -> Member:
    is_stream = status < _ERROR and route.body == "text/event-stream"
    names = [*spec.headers("every"), *(spec.headers("429") if status == _TOO_MANY else ())]
    names += [name for name in (spec.headers("stream") if is_stream else ()) if name != "Content-Type"]
    response: dict[str, object] = {
        "description": _described(spec, status),
        "headers": {name: {"schema": {"type": "string"}} for name in names},
    }
    if status >= _ERROR:
        return {**response, "content": _json("ErrorEnvelope")}
    if is_stream:
        frames = [event for boundary, event in spec.schemas if boundary == "wire"]
        data = {event: _reference("wire", event) for event in sorted(frames)}
        return {**response, "content": {route.body: {"schema": {"type": "string"}, "x-frames": data}}}
    if route.body:
        return {**response, "content": _json(route.gives) if route.gives else {route.body: {}}}
    return response


def _described(spec: Specification, status: int) -> str:
    codes = [code for code, row in spec.errors.items() if row.http == status and status >= _ERROR]
    return HTTPStatus(status).phrase + (f": {', '.join(codes)}" if codes else "")


def _json(event: str) -> Member:
    return {"application/json": {"schema": _reference("http", event)}}


def _reference(boundary: str, event: str) -> Member:
    return {"$ref": f"#/components/schemas/{_name(boundary, event)}"}


def _name(boundary: str, event: str) -> str:
    return event if boundary == "http" else f"frame-{event}"
