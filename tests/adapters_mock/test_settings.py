import msgspec
import pytest
from jsonschema import Draft202012Validator

from adapter_api import Secret
from adapters.mock.settings import MockSettings
from http_util.settings import read_settings, settings_schema


def test_every_setting_is_described_and_the_credential_marked_as_one() -> None:
    schema = settings_schema(MockSettings)
    Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert all(entry["description"] for entry in properties.values())
    assert properties["api_key"]["writeOnly"] is True


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"slot": 1}, "slot"),
        ({"slots": 0}, "slots"),
        ({"script": [{"do": "token"}]}, "script[0]"),
        ({"script": [{"do": "sing"}]}, "script[0]"),
        ({"script": [{"do": "error", "kind": "Oops"}]}, "unknown error kind 'Oops'"),
        ({"script": [], "scripts": [[]]}, "`script` and `scripts` exclude each other"),
        ({"seed_behaviour": "maybe"}, "seed_behaviour"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(wrong: dict[str, object], where: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        read_settings(MockSettings, wrong)
    assert where in str(caught.value)


@pytest.mark.req("HTU-1004")
def test_a_credential_stays_hidden() -> None:
    parsed = read_settings(MockSettings, {"api_key": Secret("sk-hidden")})
    assert parsed.api_key == Secret("sk-hidden")
    assert "sk-hidden" not in repr(parsed)
