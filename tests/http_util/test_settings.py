"""The settings of an engine and their schema say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import jsonschema
import msgspec
import pytest

from adapter_api import Secret
from http_util.settings import EngineSettings, Timeouts, read_settings, settings_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue


class Nested(msgspec.Struct, frozen=True):
    """A table of an engine's own."""

    size: int = 1


class MySettings(EngineSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of an engine that has one more credential and a table."""

    admin_key: Annotated[
        Secret | None, msgspec.Meta(description="Another key.", extra_json_schema={"writeOnly": True})
    ] = None
    nested: Annotated[Nested, msgspec.Meta(description="A table.")] = Nested()


SCHEMA = settings_schema(MySettings)
PROPERTIES = cast("Mapping[str, Mapping[str, JsonValue]]", SCHEMA["properties"])

GOOD: list[dict[str, object]] = [
    {"url": "http://127.0.0.1:8080"},
    {
        "url": "https://engine.example/prefix",
        "timeouts": {"connect_ms": 1, "first_token_ms": 2, "idle_ms": 3, "total_ms": 4, "health_ms": 5},
        "verify_tls": "/etc/ca.pem",
        "model_digest": f"sha256:{'a' * 64}",
        "ctx_max": 4096,
    },
]
BAD: list[dict[str, object]] = [
    {},
    {"url": ""},
    {"url": "http://x", "urll": 1},
    {"url": "http://x", "timeouts": {"connect_ms": 0}},
    {"url": "http://x", "timeouts": {"conect_ms": 1}},
    {"url": "http://x", "model_digest": "md5:0"},
    {"url": "http://x", "ctx_max": 0},
    {"url": "http://x", "verify_tls": 1},
]


@pytest.mark.parametrize("given", GOOD)
def test_good_settings_pass_the_schema_and_the_parser(given: dict[str, object]) -> None:
    jsonschema.validate(given, SCHEMA)
    settings = read_settings(MySettings, given)
    kept = msgspec.to_builtins(settings)
    assert all(kept[name] == value for name, value in given.items())
    assert settings.timeouts.idle_ms == (3 if "timeouts" in given else Timeouts().idle_ms)


@pytest.mark.parametrize("given", BAD)
def test_bad_settings_pass_neither(given: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(given, SCHEMA)
    with pytest.raises(msgspec.ValidationError):
        read_settings(MySettings, given)


def test_the_schema_is_one_and_every_property_is_described() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert PROPERTIES.keys() == {field.encode_name for field in msgspec.structs.fields(MySettings)}
    timeouts = cast("Mapping[str, Mapping[str, JsonValue]]", PROPERTIES["timeouts"]["properties"])
    assert all(rule.get("description") for rule in (*PROPERTIES.values(), *timeouts.values()))


@pytest.mark.req("HTU-1004")
def test_credentials_are_marked_and_do_not_print() -> None:
    assert {name for name, rule in PROPERTIES.items() if rule.get("writeOnly")} == {
        "admin_key",
        "api_key",
        "proxy",
    }
    given = read_settings(
        MySettings,
        {"url": "http://x", "api_key": Secret("hunter-2-hunter-2"), "proxy": "http://u:pw@p", "admin_key": "third"},
    )
    assert "hunter" not in repr(given)
    assert "pw" not in repr(given)
    assert [secret.reveal() for secret in given.secrets] == ["hunter-2-hunter-2", "http://u:pw@p", "third"]


@pytest.mark.req("HTU-1004")
def test_a_password_in_the_address_is_a_credential_too() -> None:
    given = read_settings(MySettings, {"url": "http://user:a%2Fpassword@engine.test"})
    assert "password" not in repr(given)
    assert "password" not in repr(list(given.__rich_repr__())), "what tracebacks with values are made of"
    assert [secret.reveal() for secret in given.secrets] == ["a/password"]
