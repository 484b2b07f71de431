"""What the adapter can be told."""

from __future__ import annotations

import msgspec
import pytest
from jsonschema import Draft202012Validator

from adapter_api import Secret
from adapters.triton import factory
from adapters.triton.settings import TritonSettings, parse
from tests.adapters.rig import SECRET

pytestmark = pytest.mark.req("HTU-1001", "OC-ADAPT-5060")

MINIMAL = {"url": "http://engine:8000", "model": "ensemble"}


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"grpc_url": "grpc://other:9001"}, ("other", 9001, False)),
        ({"grpc_url": "grpcs://other"}, ("other", 8001, True)),
        ({"grpc_url": "grpc://[::1]:9"}, ("::1", 9, False)),
    ],
)
def test_where_grpc_calls_go(settings: dict[str, object], address: tuple[str, int, bool]) -> None:
    assert parse({**MINIMAL, **settings}).grpc_address == address


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"transport": "grpc", "grpc_url": "grpc://engine", "proxy": "http://proxy:3128"},
            "does not go through `proxy`",
        ),
        ({"transport": "grpc"}, "needs `grpc_url`"),
        ({"grpc_url": "grpc://"}, "grpc_url"),
        ({"grpc_url": "grpc://engine:65536"}, "grpc_url"),
        ({"grpc_url": "grpc://engine/path"}, "grpc_url"),
        ({"metrics_url": "http://engine:65536"}, "metrics_url"),
        ({"transport": "carrier pigeon"}, "transport"),
        ({"grpc_url": "http://other:8001"}, "grpc_url"),
        ({"model": ""}, "model"),
        ({"model_version": "latest"}, "model_version"),
        ({"modle": "x"}, "modle"),
        ({"embedding": {"modle": "x"}}, "embedding"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, object], words: str) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError), match=words):
        parse({**MINIMAL, **settings})


def test_the_key_travels_as_the_restricted_api_wants_it() -> None:
    plain = parse({**MINIMAL, "api_key": Secret(SECRET)})
    named = parse({**MINIMAL, "api_key": Secret(SECRET), "key_header": "X-Api-Key"})
    assert (plain.headers, plain.grpc_metadata) == (None, {"authorization": f"Bearer {SECRET}"})
    assert (named.headers, named.grpc_metadata) == ({"X-Api-Key": SECRET}, {"triton-grpc-protocol-x-api-key": SECRET})
    assert (parse(MINIMAL).headers, parse(MINIMAL).grpc_metadata) == (None, {})


def test_settings_do_not_print_themselves() -> None:
    given = parse({**MINIMAL, "url": f"http://user:{SECRET}@engine:8000", "api_key": SECRET})
    assert repr(given) == "<TritonSettings>"
    assert {secret.reveal() for secret in given.secrets} == {SECRET}


def test_the_schema_knows_that_grpc_needs_an_address() -> None:
    """Else a configuration is found good, and the egress policy denies a port that no setting names."""
    check = Draft202012Validator(factory.settings_schema)
    assert [error.message for error in check.iter_errors({**MINIMAL, "transport": "grpc"})] == [
        "'grpc_url' is a required property"
    ]
    assert check.is_valid({**MINIMAL, "transport": "grpc", "grpc_url": "grpc://engine"})
    assert check.is_valid(MINIMAL)


def test_every_setting_is_described() -> None:
    schema = factory.settings_schema
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert properties.keys() == set(TritonSettings.__struct_fields__)
    assert all(isinstance(each, dict) and each.get("description") for each in properties.values())
