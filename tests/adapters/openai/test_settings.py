"""The OpenAI adapter's settings and their schema say the same, and none of them prints a credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import jsonschema
import msgspec
import pytest

from adapter_api import load_factory
from adapters.openai.settings import OpenAISettings
from http_util.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue

SCHEMA = load_factory("openai").settings_schema
GOOD: list[dict[str, object]] = [
    {"url": "http://127.0.0.1:8000"},
    {
        "url": "https://api.openai.com/v1",
        "model": "gpt-5",
        "api": "responses",
        "organization": "org-1",
        "project": "proj-1",
        "workloads": ["completion", "embedding"],
        "max_tokens_field": "max_completion_tokens",
        "sampling_fields": {"top_k": "top_k", "repeat_penalty": "repetition_penalty"},
        "takes_seed": False,
        "counts_in_stream": False,
        "extra_body": {"reasoning": {"effort": "low"}, "tools": []},
    },
]
BAD: list[dict[str, object]] = [
    {},
    {"url": "http://x", "api": "completion"},
    {"url": "http://x", "workloads": ["rerank"]},
    {"url": "http://x", "sampling_fields": {"temperature": "t"}},
    {"url": "http://x", "max_tokens_field": "n_predict"},
    {"url": "http://x", "organization": ""},
    {"url": "http://x", "project": "p\r\nauthorization: x"},
    {"url": "http://x", "extra_body": "x"},
]


@pytest.mark.parametrize("given", GOOD)
def test_good_settings_pass_the_schema_and_the_parser(given: dict[str, object]) -> None:
    jsonschema.validate(given, SCHEMA)
    kept = msgspec.to_builtins(read_settings(OpenAISettings, given), enc_hook=lambda secret: secret.reveal())
    nested = {name for name, value in given.items() if isinstance(value, dict)}
    for name in given.keys() - nested - {"workloads"}:
        assert kept[name] == given[name]
    if "workloads" in given:  # a set, and so in any order
        assert set(kept["workloads"]) == set(cast("list[str]", given["workloads"]))
    assert all(kept[name] | given[name] == kept[name] for name in nested)


@pytest.mark.parametrize("given", BAD)
def test_bad_settings_pass_neither(given: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(given, SCHEMA)
    with pytest.raises(msgspec.ValidationError):
        read_settings(OpenAISettings, given)


@pytest.mark.req("OC-ADAPT-OAI-6020")
def test_no_credential_is_in_a_repr() -> None:
    url = "https://user:pass-word@gateway.example/v1"
    given = read_settings(OpenAISettings, {"url": url, "api_key": "sk-secret", "proxy": "http://u:proxy-word@p:1"})
    assert not any(word in repr(given) for word in ("sk-secret", "pass-word", "proxy-word"))
    assert {secret.reveal() for secret in given.secrets} >= {"sk-secret", "pass-word"}


@pytest.mark.req("OC-ADAPT-OAI-6031")
def test_certificates_are_checked_unless_told_otherwise() -> None:
    assert read_settings(OpenAISettings, {"url": "https://x"}).verify_tls is True


def test_every_setting_is_described() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    properties = cast("Mapping[str, Mapping[str, JsonValue]]", SCHEMA["properties"])
    assert properties.keys() == {field.encode_name for field in msgspec.structs.fields(OpenAISettings)}
    assert all(setting["description"] for setting in properties.values())
