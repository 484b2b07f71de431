"""The vLLM adapter's settings and their schema say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import jsonschema
import msgspec
import pytest

from adapter_api import load_factory
from adapters.vllm.settings import VllmSettings, root_url
from http_util.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue

SCHEMA = load_factory("vllm").settings_schema
GOOD: list[dict[str, object]] = [
    {"url": "http://127.0.0.1:8000"},
    {"url": "http://x", "model": "m", "slots": 256, "extra_body": {"a": {"b": [1, None]}}},
]
BAD: list[dict[str, object]] = [
    {},
    {"url": "http://x", "slots": 0},
    {"url": "http://x", "model": ""},
    {"url": "http://x", "extra_body": [1]},
    {"url": "http://x", "modell": "m"},
]


@pytest.mark.parametrize("given", GOOD)
def test_good_settings_pass_the_schema_and_the_parser(given: dict[str, object]) -> None:
    jsonschema.validate(given, SCHEMA)
    kept = msgspec.to_builtins(read_settings(VllmSettings, given), enc_hook=lambda secret: secret.reveal())
    nested = {name for name, value in given.items() if isinstance(value, dict)}
    assert {name: kept[name] for name in given.keys() - nested} == {
        name: value for name, value in given.items() if name not in nested
    }
    assert all(kept[name] | given[name] == kept[name] for name in nested)


@pytest.mark.parametrize("given", BAD)
def test_bad_settings_pass_neither(given: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(given, SCHEMA)
    with pytest.raises(msgspec.ValidationError):
        read_settings(VllmSettings, given)


def test_every_setting_is_described() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    properties = cast("Mapping[str, Mapping[str, JsonValue]]", SCHEMA["properties"])
    assert properties.keys() == {field.encode_name for field in msgspec.structs.fields(VllmSettings)}
    assert all(setting["description"] for setting in properties.values())


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000"),
        ("http://gateway/models/v1x/v1", "http://gateway/models/v1x"),
        ("http://gateway/v10", "http://gateway/v10"),
    ],
)
def test_the_address_of_the_openai_routes_leads_to_the_server_too(url: str, root: str) -> None:
    assert root_url(url) == root
