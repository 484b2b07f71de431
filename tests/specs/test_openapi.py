"""The OpenAPI file says what the documents say, and the service is of its version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from jsonschema import Draft202012Validator

import specs
from orchestratord.web.control import API_VERSION
from specs import SpecError, load_from, openapi, openapi_text
from specs.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs/reference/openapi.json"
SPEC = specs.load()
WHOLE = json.loads(openapi_text(SPEC))


def references(value: object) -> Iterator[str]:
    """Yield every reference in a document."""
    if isinstance(value, dict):
        yield from (cast("str", each) for key, each in value.items() if key == "$ref")
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


@pytest.mark.req("GATE-1003")
def test_the_committed_file_is_what_the_documents_say() -> None:
    assert FILE.read_text(encoding="utf-8") == openapi_text(SPEC), (
        "python -m specs openapi > docs/reference/openapi.json"
    )


@pytest.mark.req("OC-CTRL-2004", "OC-CTRL-2004a")
def test_every_route_is_there_with_its_statuses_and_no_other() -> None:
    told = {
        (verb.upper(), path): set(operation["responses"])
        for path, verbs in WHOLE["paths"].items()
        for verb, operation in verbs.items()
    }
    assert told == {
        (route.method, route.path): {str(status) for status in (route.success, *route.failures)}
        for route in SPEC.routes
    }
    open_paths = {
        path for path, verbs in WHOLE["paths"].items() for each in verbs.values() if each.get("security") == []
    }
    assert open_paths == {route.path for route in SPEC.routes if route.is_open}


def test_every_reference_leads_to_a_schema_and_each_schema_is_the_document_s() -> None:
    schemas = WHOLE["components"]["schemas"]
    used = {reference.removeprefix("#/components/schemas/") for reference in references(WHOLE)}
    assert used <= schemas.keys()
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        boundary = "wire" if name.startswith("frame-") else "http"
        assert schema == SPEC.schema(boundary, name.removeprefix("frame-"))
    assert {name for name in schemas if not name.startswith("frame-")} <= used


def test_errors_and_headers_are_those_of_the_tables() -> None:
    full = WHOLE["paths"]["/v1/tasks"]["post"]["responses"]["429"]
    assert full["description"] == "Too Many Requests: ADMISSION_REJECT, QUEUE_FULL_DROP_LRU"
    assert set(full["headers"]) == {*SPEC.headers("every"), *SPEC.headers("429")}
    stream = WHOLE["paths"]["/v1/tasks/{id}/stream"]["get"]["responses"]["200"]
    assert {*stream["headers"], "Content-Type"} == {*SPEC.headers("every"), *SPEC.headers("stream")}
    assert set(stream["content"]["text/event-stream"]["x-frames"]) == {e for b, e in SPEC.schemas if b == "wire"}
    assert "content" not in WHOLE["paths"]["/v1/tasks/{id}"]["delete"]["responses"]["204"]


def test_the_service_is_of_the_version_of_the_documents() -> None:
    assert WHOLE["info"]["version"] == SPEC.api_version == API_VERSION


def test_the_command_prints_the_same_bytes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["specs", "openapi", str(ROOT / "specs")])
    assert main() == 0
    assert capsys.readouterr().out == openapi_text(SPEC)
    assert openapi(SPEC)["openapi"] == "3.1.0"


@pytest.mark.parametrize("column", ["takes", "gives"])
def test_a_body_without_a_schema_is_an_error_with_its_line(tmp_path: Path, column: str) -> None:
    route = f'[[route]]\nmethod = "GET"\npath = "/a"\nsuccess = 200\n{column} = "Nothing"\ndoes = "x"\n'
    text = f"# T\n\n- [AA-1001 r1] It MUST be.\n\n```toml spec=routes\n{route}```\n"
    (tmp_path / "a.md").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match="there is no schema http Nothing") as caught:
        load_from(tmp_path)
    assert caught.value.line == 10
