import tomllib
from pathlib import Path

import pytest

from orchestratord.config import ConfigError, load_config
from tests.orchestratord.config.support import configured, factories, pool, refused, refused_file

MINIMAL = """
[[pools]]
id = "p"
engine = "fake"
model_ref = "m"
[[pools.replicas]]
settings.url = "http://127.0.0.1:9"
"""


@pytest.mark.req("OC-CONFIG-6001")
def test_a_file_with_one_pool_is_enough(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(MINIMAL)
    config = load_config(tmp_path / "c.toml", {}, factories)
    assert config.server.address == ("127.0.0.1", 8080)
    assert config.stream.channel_cap == 32
    assert config.auth.token is None
    assert config.pools[0].replicas[0].settings == {"url": "http://127.0.0.1:9"}


@pytest.mark.req("OC-CONFIG-6001")
def test_every_problem_of_a_file_is_told_with_its_line_in_one_go(tmp_path: Path) -> None:
    text = "[server]\nbnd = 1\n[stream]\nchannel_cap = 0\nheartbeat_ms = '5'\n[histroy]\n" + MINIMAL
    assert refused_file(tmp_path / "c.toml", text) == [
        "2: server.bnd: unknown key; did you mean `bind`?",
        "4: stream.channel_cap: expected at least 1, got 0",
        "5: stream.heartbeat_ms: expected a whole number, not a text in quotes",
        "6: histroy: unknown key; did you mean `history`?",
    ]


def test_a_line_is_found_inside_the_right_element_of_an_array_of_tables(tmp_path: Path) -> None:
    second = MINIMAL.replace('"p"', '"q"').replace("settings.url", "settings.ulr")
    assert refused_file(tmp_path / "c.toml", MINIMAL + second) == [
        "14: pools[1].replicas[0].settings.ulr: unknown key; did you mean `url`?",
        "14: pools[1].replicas[0].settings.url: this key is required",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server\n", "not valid TOML"),
        ("", "pools: this key is required"),
    ],
)
def test_a_file_that_is_no_configuration_says_why(tmp_path: Path, text: str, told: str) -> None:
    assert told in refused_file(tmp_path / "c.toml", text)[0]


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: no such file; `orchestratord config init`"):
        load_config(tmp_path / "none.toml", {}, factories)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not a text in UTF-8"):
        load_config(tmp_path / "c.toml", {}, factories)


@pytest.mark.req("OC-CONFIG-6001")
@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"server": {"bind": 8080}}, "server.bind: expected a text in quotes, not a whole number"),
        ({"server": {"bind": "8080"}}, "server.bind: expected a text of the form"),
        ({"server": {"bind": "127.0.0.1:70000"}}, "server.bind: a port is at most 65535"),
        ({"server": {"bind": "[::zz]:80"}}, "server.bind: expected a text of the form"),
        ({"server": {"bind": "[1:2]:80"}}, "server.bind: "),
        ({"stream": {"narration": 1}}, "stream.narration: expected true or false, not a whole number"),
        ({"stream": {"channel_cap": 3.0}}, "stream.channel_cap: expected a whole number, not a number"),
        ({"stream": {"channel_cap": True}}, "stream.channel_cap: expected a whole number, not true or false"),
        ({"stream": 3}, "stream: expected a table, not a whole number"),
        ({"log": {"level": "loud"}}, 'log.level: expected one of "debug", "error", "info", "warning", got \'loud\''),
        ({"pools": []}, "pools: expected at least 1 of them"),
        ({"pools": [pool(replicas=[])]}, "pools[0].replicas: expected at least 1 of them"),
        ({"pools": [pool(id="a b")]}, "pools[0].id: expected a text of the form"),
        ({"pools": [pool(queue={"policy": "drop"})]}, "pools[0].queue.policy: expected one of"),
        (
            {"pools": [pool(sampler_profiles={"x": {"top_p": 2}})]},
            "pools[0].sampler_profiles.x.top_p: expected at most 1",
        ),
    ],
)
def test_a_value_of_the_wrong_kind_names_its_key_and_what_fits(data: dict[str, object], told: str) -> None:
    assert told in refused(data)[0]


@pytest.mark.req("OC-CONFIG-6033")
@pytest.mark.parametrize(
    ("pools", "told"),
    [
        ([pool(), pool()], 'pools[1].id: "p" is the id of pools[0] already'),
        (
            [pool(), pool(id="q"), pool(id="r", replicas=[{"settings": {"url": "u"}}, {"settings": {"url": "u"}}])],
            'pools[2].replicas[1].id: "r0" is the id of replicas[0] already',
        ),
        (
            [pool(default=True), pool(id="q"), pool(id="r", default=True)],
            "pools[2].default: pools[0] is the default already: only one pool can be",
        ),
        ([pool(aliases=["default"])], 'pools[0].aliases: the name "default" selects the default pool'),
        ([pool(default_profile="x")], "pools[0].default_profile: no such profile in sampler_profiles (there: none)"),
        ([pool(engine="fke")], "pools[0].engine: no adapter for engine 'fke' is installed"),
    ],
)
def test_what_only_the_whole_shows_is_refused(pools: list[object], told: str) -> None:
    (line,) = refused({"pools": pools})
    assert told in line


def test_the_default_pool_answers_to_default_and_others_do_not() -> None:
    config = configured({"pools": [pool(default=True, aliases=["a"]), pool(id="q")]})
    assert list(config.pools[0].answers_to()) == ["m", "a", "default"]
    assert list(config.pools[1].answers_to()) == ["m"]


def test_a_profile_becomes_the_sampling_an_adapter_takes() -> None:
    profile = {"temperature": 0, "stop": ["\n"]}
    sampling = configured({"pools": [pool(sampler_profiles={"x": profile})]}).pools[0].sampler_profiles["x"].sampling()
    assert (sampling.temperature, sampling.stop, sampling.top_p) == (0, ("\n",), None)


def test_lines_are_found_past_values_that_span_lines(tmp_path: Path) -> None:
    text = '# top\n[log]\nlevel = """\ninfo = 3\n[server]"""\n[stream]\nnarration = 1\n' + MINIMAL.replace(
        'model_ref = "m"', 'model_ref = "m"\naliases = [\n  "a", # ]\n  "b",\n]\nqueue = { capacity = 0 }'
    )
    tomllib.loads(text)
    told = refused_file(tmp_path / "c.toml", text)
    assert [line.partition(":")[0] for line in told] == ["3", "7", "17"]
    assert told[2] == "17: pools[0].queue.capacity: expected at least 1, got 0"
