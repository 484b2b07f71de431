"""The llama.cpp adapter's settings and their schema say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import jsonschema
import msgspec
import pytest

from adapter_api import AdapterContext, PoolId, ReplicaId, Secret, load_factory
from adapters.llamacpp import settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue

CONTEXT = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.5)
PROPERTIES = cast("Mapping[str, Mapping[str, JsonValue]]", settings.schema()["properties"])

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
    jsonschema.validate(given, settings.schema())
    settings.parse(given)


@pytest.mark.parametrize("given", BAD)
def test_bad_settings_pass_neither(given: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(given, settings.schema())
    with pytest.raises(msgspec.ValidationError):
        settings.parse(given)


def test_the_schema_is_one_and_every_property_is_described() -> None:
    jsonschema.Draft202012Validator.check_schema(settings.schema())
    assert PROPERTIES.keys() == {field.encode_name for field in msgspec.structs.fields(settings.LlamaCppSettings)}
    timeouts = cast("Mapping[str, Mapping[str, JsonValue]]", PROPERTIES["timeouts"]["properties"])
    assert all(rule.get("description") for rule in (*PROPERTIES.values(), *timeouts.values()))


@pytest.mark.req("HTU-1004")
def test_credentials_are_marked_and_do_not_print() -> None:
    assert {name for name, rule in PROPERTIES.items() if rule.get("writeOnly")} == {"api_key", "proxy"}
    given = settings.parse({"url": "http://x", "api_key": Secret("hunter-2-hunter-2"), "proxy": "http://u:pw@p"})
    assert "hunter" not in repr(given)
    assert "pw" not in repr(given)
    assert [secret.reveal() for secret in given.secrets] == ["hunter-2-hunter-2", "http://u:pw@p"]


@pytest.mark.req("HTU-1004")
def test_a_password_in_the_address_is_a_credential_too() -> None:
    given = settings.parse({"url": "http://user:a%2Fpassword@engine.test"})
    assert "password" not in repr(given)
    assert [secret.reveal() for secret in given.secrets] == ["a/password"]


@pytest.mark.parametrize("url", ["engine:8080", "ftp://engine", "http://engine?x=1"])
async def test_an_address_that_is_none_is_refused_at_opening(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        async with load_factory("llamacpp").open({"url": url}, CONTEXT):
            pass


async def test_an_exception_of_the_block_comes_out_alone() -> None:
    with pytest.raises(KeyError):
        async with load_factory("llamacpp").open({"url": "http://x"}, CONTEXT):
            raise KeyError("mine")
