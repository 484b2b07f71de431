import pytest

from tests.orchestratord.config.support import configured, refused


@pytest.mark.req("OC-CONFIG-6030")
def test_every_variable_overrides_its_key() -> None:
    environ = {
        "ORCHD_ADDR": "127.0.0.1:9",
        "AUTH_OPTIONAL": "yes",
        "TRUST_PROXY_AUTH": "1",
        "ORCHD_SSE_CHANNEL_CAP": "7",
        "ORCHD_SSE_MICROBATCH": "true",
        "ORCHD_SSE_HEARTBEAT_MS": "15000",
        "CANCEL_ON_DISCONNECT": "False",
        "ORCHD_SSE_LOGS_ENABLED": "on",
        "ORCHD_SSE_LOGS_PERIOD_MS": "250",
    }
    config = configured({"server": {"bind": "127.0.0.1:1"}, "stream": {"channel_cap": 9}}, environ)
    stream = config.stream
    assert config.server.bind == "127.0.0.1:9"
    assert (config.auth.optional, config.auth.trust_proxy) == (True, True)
    assert (stream.channel_cap, stream.microbatch_ms, stream.heartbeat_ms) == (7, 5, 15000)
    assert (stream.cancel_on_disconnect, stream.narration, stream.narration_period_ms) == (False, True, 250)


def test_the_newer_name_of_the_address_wins_over_the_older() -> None:
    both = {"BIND_ADDR": "127.0.0.1:1", "ORCHD_ADDR": "127.0.0.1:2"}
    assert configured({}, both).server.address.port == 2
    assert configured({}, {"BIND_ADDR": "127.0.0.1:1"}).server.address.port == 1


@pytest.mark.parametrize(("flag", "window_ms"), [("true", 20), ("false", 0)])
def test_the_microbatch_flag_keeps_a_window_that_the_file_set(flag: str, window_ms: int) -> None:
    config = configured({"stream": {"microbatch_ms": 20}}, {"ORCHD_SSE_MICROBATCH": flag})
    assert config.stream.microbatch_ms == window_ms


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("ORCHD_SSE_CHANNEL_CAP", "many", "stream.channel_cap: expected a whole number"),
        ("ORCHD_SSE_CHANNEL_CAP", "\u0663", "stream.channel_cap: expected a whole number"),
        ("ORCHD_SSE_CHANNEL_CAP", "0", "stream.channel_cap: expected at least 1, got 0"),
        ("AUTH_OPTIONAL", "maybe", "auth.optional: expected true or false"),
        ("ORCHD_ADDR", "8080", "server.bind: expected a text of the form"),
        ("BIND_ADDR", "0.0.0.0:8080", "server.bind: NON_LOOPBACK_WITHOUT_TOKEN"),
    ],
)
def test_a_bad_override_is_told_under_the_variables_name(variable: str, value: str, told: str) -> None:
    assert refused({}, {variable: value})[0].startswith(f"environment variable {variable}: {told}")


def test_a_variable_that_is_empty_changes_nothing() -> None:
    assert configured({}, {"ORCHD_ADDR": "", "AUTH_OPTIONAL": " "}).server == configured().server


def test_the_token_in_the_environment_is_not_part_of_the_data() -> None:
    config = configured({}, {"AUTH_TOKEN": "t0k3n"})
    assert config.auth.token is not None
    assert "t0k3n" not in repr(config)
