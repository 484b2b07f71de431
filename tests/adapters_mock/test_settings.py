import msgspec
import pytest
from jsonschema import Draft202012Validator

from adapter_api import Secret
from adapters.mock import settings


def test_every_setting_is_described_and_the_credential_marked_as_one() -> None:
    schema = settings.schema()
    Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    assert all(entry["description"] for entry in properties.values())
    assert properties["api_key"]["anyOf"][0]["writeOnly"] is True


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
        settings.parse(wrong)
    assert where in str(caught.value)


@pytest.mark.req("HTU-1004")
def test_a_credential_stays_hidden() -> None:
    parsed = settings.parse({"api_key": Secret("sk-hidden")})
    assert parsed.api_key == Secret("sk-hidden")
    assert "sk-hidden" not in repr(parsed)
