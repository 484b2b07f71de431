"""The service's tables say what the documents say."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import msgspec
import pytest

import specs
from adapter_api import ERROR_KINDS
from orchestratord.core.wire import TaskBody
from orchestratord.errors import AUTH_NUMBERS, TERMS, WORKER_CODES, Code, ErrorEnvelope, envelope_of
from orchestratord.web.app import create_app
from orchestratord.web.auth import OPEN_PATHS
from tests.support.service import configuration, open_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from quart import Quart
    from quart_trio import QuartTrio
    from trio.testing import MockClock

    from orchestratord.config import Config
    from orchestratord.web.services import Services

SPEC = specs.load()


@pytest.mark.req("OC-CTRL-2030", "OC-CTRL-2030a", "OC-CTRL-2032")
def test_the_codes_are_the_document_s() -> None:
    assert {code.value: (terms.status, terms.retriable) for code, terms in TERMS.items()} == {
        code: (row.http, row.retriable) for code, row in SPEC.errors.items()
    }
    assert set(Code) == set(TERMS)


@pytest.mark.req("AUTH-1001", "AUTH-1002")
def test_the_numbers_of_auth_are_the_document_s() -> None:
    numbered = {code: row.number for code, row in SPEC.errors.items() if row.number is not None}
    assert {code.value: number for code, number in AUTH_NUMBERS.items()} == numbered


@pytest.mark.req("AH-1005", "AH-1005a", "AH-1005b")
@pytest.mark.parametrize("kind", ERROR_KINDS)
def test_what_an_adapter_s_error_becomes_is_the_document_s(kind: str) -> None:
    row = SPEC.worker_errors[kind]
    assert WORKER_CODES[kind].value == row.code
    plain = envelope_of(ERROR_KINDS[kind]("the engine's words", retry_after_ms=7), "mock", "p")
    assert (plain.code.value, plain.retriable, plain.retry_after_ms) == (row.code, row.retriable, 7)
    assert (plain.message == "the engine's words") == (row.words == "engine")
    for retriable in (True, False):
        told = envelope_of(ERROR_KINDS[kind]("w", retriable=retriable), "mock", "p")
        assert told.retriable is retriable
    if row.code_if_blamed is not None:
        blamed = envelope_of(ERROR_KINDS[kind]("w", blames_request=True), "mock", "p")
        assert blamed.code.value == row.code_if_blamed


@pytest.mark.req("OC-CTRL-2030b")
def test_an_envelope_has_the_document_s_fields() -> None:
    fields = set(SPEC.schema("http", "ErrorEnvelope")["properties"])  # type: ignore[call-overload]
    assert {field.name for field in dataclasses.fields(ErrorEnvelope)} == fields


@pytest.mark.req("OC-CTRL-2010a")
def test_a_task_has_the_document_s_fields() -> None:
    schema = SPEC.schema("http", "TaskRequest")
    fields = {field.name: field for field in msgspec.structs.fields(TaskBody)}
    assert set(fields) == set(schema["properties"])  # type: ignore[call-overload]
    assert {name for name, field in fields.items() if field.required} == set(schema["required"])  # type: ignore[call-overload]
    for name in ("sampling", "placement"):
        inner = schema["properties"][name]["properties"]  # type: ignore[index]
        assert {field.name for field in msgspec.structs.fields(fields[name].type)} == set(inner)


def served(app: Quart) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield method, re.sub(r"<[^>]*>", "{id}", rule.rule)


@pytest.mark.req("OC-CTRL-2004", "OC-CTRL-2004a", "AUTH-1008")
async def test_the_routes_are_the_document_s(monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock) -> None:
    apps: list[QuartTrio] = []

    def create(services: Services) -> QuartTrio:
        apps.append(create_app(services))
        return apps[0]

    monkeypatch.setattr("orchestratord.service.create_app", create)
    async with open_service():
        assert set(served(apps[0])) == {(route.method, route.path) for route in SPEC.routes}
    assert {route.path for route in SPEC.routes if route.is_open} == OPEN_PATHS


def numeric_defaults(config: Config) -> Iterator[tuple[str, object]]:
    tables = {"server": config.server, "stream": config.stream, "history": config.history, "log": config.log}
    pool = config.pools[0]
    tables |= {"pools": pool, "pools.queue": pool.queue}
    tables |= {"pools.retry": pool.retry, "pools.breaker": pool.breaker, "pools.health": pool.health}
    for table, values in tables.items():
        for name, value in msgspec.structs.asdict(values).items():
            yield f"{table}.{name}", value


@pytest.mark.req("SSE-1004", "OC-CTRL-2026a", "OC-CTRL-2026b", "SSE-1003b", "SSE-1002e", "OC-CTRL-2021b")
def test_the_bounds_of_the_configuration_are_the_document_s() -> None:
    known = dict(numeric_defaults(configuration()))
    bounds = {bound.setting: bound.value for bound in SPEC.bounds.values() if bound.setting}
    assert bounds
    assert {setting: known.get(setting) for setting in bounds} == bounds
