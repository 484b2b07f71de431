from pathlib import Path

import pytest

from adapter_api import JsonValue, Secret
from orchestratord.config import ConfigError
from orchestratord.config.settings import resolve_settings
from tests.orchestratord.config.support import configured, pool, refused, refused_file, replica

CANARY = "c4n4ry-Zx9"


@pytest.mark.req("OC-CONFIG-6031", "HTU-1004")
def test_a_credential_comes_from_a_variable_or_a_file_as_a_secret(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n")
    by_variable = configured({"pools": [replica(api_key_env="K")]}, {"K": CANARY})
    by_file = configured({"pools": [replica(api_key_file=str(tmp_path / "key"))]})
    for config in (by_variable, by_file):
        assert config.pools[0].replicas[0].settings == {"url": "http://127.0.0.1:9", "api_key": Secret(CANARY)}
        assert config.secret_values() == (CANARY,)
        assert CANARY not in repr(config)


def test_a_credential_inside_a_nested_table_is_found() -> None:
    config = configured({"pools": [replica(timeouts={"idle_ms": 5, "proxy_password_env": "K"})]}, {"K": CANARY})
    assert config.pools[0].replicas[0].settings["timeouts"] == {"idle_ms": 5, "proxy_password": Secret(CANARY)}
    assert config.secret_values() == (CANARY,)


def test_code_may_put_a_secret_in_itself() -> None:
    config = configured({"pools": [replica(api_key=Secret(CANARY))]})
    assert config.pools[0].replicas[0].settings["api_key"] == Secret(CANARY)


@pytest.mark.req("OC-CONFIG-6031", "HTU-1004")
@pytest.mark.parametrize("value", [CANARY, 17, True, [CANARY]])
def test_a_credential_in_plain_is_refused_without_being_shown(value: object) -> None:
    (told,) = refused({"pools": [replica(api_key=value)]})
    assert told.startswith("configuration: pools[0].replicas[0].settings.api_key: a credential is not written in the ")
    assert told.endswith('give api_key_env = "VARIABLE" or api_key_file = "PATH"')


@pytest.mark.req("HTU-1004")
def test_no_problem_text_shows_what_might_be_a_credential(tmp_path: Path) -> None:
    """People paste the credential where its name belongs."""
    cases: list[tuple[dict[str, object], dict[str, str]]] = [
        ({"pools": [replica(api_key_env=CANARY)]}, {}),
        ({"pools": [replica(api_key_file=CANARY)]}, {}),
        ({"pools": [replica(api_key_file=str(tmp_path))]}, {}),
        ({"pools": [replica(url=[f"http://u:{CANARY}@h"])]}, {}),
        ({"pools": [replica(timeouts=CANARY)]}, {}),
        ({"pools": [replica(mode=CANARY)]}, {}),
        ({"pools": [replica(verify_tls=[CANARY])]}, {}),
        ({"pools": [replica(api_key_env="K")]}, {"K": f"{CANARY} two words"}),
        ({"auth": {"token_env": CANARY}}, {}),
        ({"auth": {"token": CANARY}}, {}),
        ({"auth": {"token_env": "hf_" + CANARY.replace("-", "_")}, "server": {"bind": "0.0.0.0:1"}}, {}),
        ({"auth": {"token_file": CANARY}}, {}),
        ({}, {"AUTH_TOKEN": f"{CANARY}\u00e9"}),
        ({}, {"AUTH_OPTIONAL": CANARY}),
    ]
    for data, environ in cases:
        told = refused(data, environ)
        assert told
        assert "c4n4ry" not in "".join(told), data
    assert "c4n4ry" not in "".join(refused_file(tmp_path / "c.toml", f"[auth]\ntoken = '{CANARY}\n"))


@pytest.mark.parametrize(
    ("settings", "environ", "told"),
    [
        ({"api_key_env": "K"}, {}, "api_key_env: the environment variable that is named here is not set"),
        ({"api_key_env": "K"}, {"K": " "}, "api_key_env: the environment variable that is named here is empty"),
        ({"api_key_file": "/nowhere/x"}, {}, "api_key_file: the file that is named here cannot be read: no such file"),
        (
            {"api_key_env": "K", "api_key_file": "f"},
            {"K": "x"},
            "settings: has both api_key_env and api_key_file: keep one",
        ),
        ({"api_key_evn": "K"}, {}, "api_key_evn: unknown key; did you mean `api_key_env`?"),
        ({"verify_tls": 3}, {}, "verify_tls: expected true or false, not a whole number, or expected a text in quotes"),
    ],
)
def test_settings_that_do_not_fit_say_what_to_do(
    settings: dict[str, object], environ: dict[str, str], told: str
) -> None:
    assert told in "\n".join(refused({"pools": [replica(**settings)]}, environ))


def test_a_value_where_a_table_belongs_is_not_told_to_have_two_credentials() -> None:
    told = "\n".join(refused({"pools": [replica(timeouts=3)]}, {}))
    assert "timeouts: expected" in told
    assert "has both" not in told


@pytest.mark.req("HTU-1004")
def test_what_a_url_carries_counts_as_a_credential() -> None:
    config = configured({"pools": [replica(url="http://user:p%40ss@h/v1?api_key=abc&n=5")]})
    assert set(config.secret_values()) == {"user:p%40ss", "user:p@ss", "p%40ss", "p@ss", "abc"}
    assert "p%40ss" not in repr(config)


@pytest.mark.req("HTU-1004")
def test_the_password_inside_a_secret_address_counts_too() -> None:
    config = configured({"pools": [replica(api_key=Secret("http://u:pass@proxy:1"))]})
    assert set(config.secret_values()) == {"http://u:pass@proxy:1", "u:pass", "pass"}


@pytest.mark.req("HTU-1004")
def test_the_password_inside_a_model_reference_counts_too() -> None:
    config = configured({"pools": [pool(model_ref="https://u:pass@hub/m.gguf")]})
    assert set(config.secret_values()) == {"u:pass", "pass"}


@pytest.mark.req("AUTH-1001")
def test_the_token_comes_from_the_variable_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    auth = {"token_file": str(tmp_path / "token")}
    assert configured({"auth": auth}).auth.token == Secret("from-file")
    assert configured({"auth": auth}, {"AUTH_TOKEN": "from-env"}).auth.token == Secret("from-env")
    assert configured({"auth": {"token_env": "T"}}, {"T": "t", "AUTH_TOKEN": "no"}).auth.token == Secret("t")


@pytest.mark.req("AUTH-1001")
def test_a_variable_that_is_asked_for_by_name_has_to_be_there() -> None:
    assert refused({"auth": {"token_env": "T"}}) == [
        "configuration: auth.token_env: the environment variable that is named here is not set"
    ]
    assert refused({}, {"AUTH_TOKEN": ""}) == [
        "configuration: auth.token_env: the environment variable AUTH_TOKEN is empty: give it a value or take it away"
    ]


@pytest.mark.req("AUTH-1002", "OC-CONFIG-6032")
@pytest.mark.parametrize("bind", ["0.0.0.0:8080", "[::]:8080", "192.168.1.4:80", "example.org:80", "[fe80::1]:80"])
def test_a_bind_that_others_can_reach_needs_a_token(bind: str) -> None:
    with pytest.raises(ConfigError, match=r"NON_LOOPBACK_WITHOUT_TOKEN \(40301\)") as raised:
        configured({"server": {"bind": bind}, "auth": {"optional": True}})
    assert raised.value.code == "NON_LOOPBACK_WITHOUT_TOKEN"
    assert configured({"server": {"bind": bind}}, {"AUTH_TOKEN": "t"}).server.bind == bind


@pytest.mark.req("AUTH-1002")
@pytest.mark.parametrize("bind", ["127.0.0.1:0", "127.8.9.1:80", "[::1]:80", "localhost:80", "[::ffff:127.0.0.1]:80"])
def test_loopback_needs_no_token(bind: str) -> None:
    config = configured({"server": {"bind": bind}})
    assert config.server.address.is_loopback
    assert str(config.server.address) == bind


OPTIONAL_SECRET: dict[str, JsonValue] = {"anyOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]}


@pytest.mark.req("OC-CONFIG-6031")
def test_a_credential_is_found_however_the_schema_says_it() -> None:
    """Generated schemas put the mark into a choice and tables behind references."""
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": {"key": OPTIONAL_SECRET, "proxy": {"anyOf": [{"$ref": "#/$defs/Proxy"}, {"type": "null"}]}},
        "additionalProperties": False,
        "$defs": {
            "Proxy": {"type": "object", "properties": {"password": OPTIONAL_SECRET}, "additionalProperties": False}
        },
    }

    def resolve(settings: dict[str, object]) -> tuple[dict[str, object], list[str]]:
        resolved, problems = resolve_settings(settings, schema, {"K": CANARY}, at=())
        return resolved, [str(problem) for problem in problems]

    by_name = resolve({"key_env": "K", "proxy": {"password_env": "K"}})
    assert by_name == ({"key": Secret(CANARY), "proxy": {"password": Secret(CANARY)}}, [])
    told = resolve({"key": CANARY, "proxy": {"password": CANARY}})[1]
    assert [line.partition(" is not written")[0] for line in told] == [
        "key: a credential",
        "proxy.password: a credential",
    ]


def test_an_adapters_own_rules_hold_beside_those_on_credentials() -> None:
    schema: dict[str, JsonValue] = {
        "properties": {"key": {"type": "string", "writeOnly": True}, "a": {}, "b": {}},
        "allOf": [{"anyOf": [{"required": ["a"]}, {"required": ["b"]}], "$comment": "a or b is required"}],
    }
    _, problems = resolve_settings({}, schema, {}, at=("settings",))
    assert [str(problem) for problem in problems] == ["settings: a or b is required"]


def test_a_credential_that_the_adapter_needs_is_asked_for_by_its_references() -> None:
    schema: dict[str, JsonValue] = {
        "properties": {"key": {"type": "string", "writeOnly": True}, "url": {"type": "string"}},
        "required": ["key", "url"],
    }
    _, problems = resolve_settings({}, schema, {}, at=("settings",))
    assert [str(problem) for problem in problems] == [
        "settings: key_env or key_file is required",
        "settings.url: this key is required",
    ]
    assert resolve_settings({"url": "u", "key": Secret("k")}, schema, {}, at=()) == (
        {"url": "u", "key": Secret("k")},
        [],
    )


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"do": "pause", "mss": 3}, "steps[0].mss: unknown key; did you mean `ms`?"),
        ({"do": "halt"}, 'steps[0].do: expected "say", or expected "pause"'),
        (3, "steps[0]: expected a table, not a whole number"),
    ],
)
def test_a_choice_is_told_by_its_tag(step: object, told: str) -> None:
    def choice(tag: str, key: str) -> JsonValue:
        properties = {"do": {"enum": [tag]}, key: {}}
        return {"type": "object", "properties": properties, "required": ["do"], "additionalProperties": False}

    schema: dict[str, JsonValue] = {
        "properties": {"steps": {"type": "array", "items": {"anyOf": [choice("say", "text"), choice("pause", "ms")]}}}
    }
    _, problems = resolve_settings({"steps": [step]}, schema, {}, at=())
    assert [str(problem) for problem in problems] == [told]
