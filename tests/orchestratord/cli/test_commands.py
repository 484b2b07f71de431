import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from orchestratord.cli.parser import parse
from orchestratord.cli.start import start
from orchestratord.config import schema_text


def run(*arguments: str) -> int:
    return start(parse(arguments))


def test_init_writes_a_file_that_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "o.toml")
    assert run("config", "init", file) == 0
    assert run("config", "check", file) == 0
    assert "small: llamacpp, 1 replica, answers to file:/models/small.gguf, default" in capsys.readouterr().out


def test_every_line_that_init_leaves_commented_out_is_valid_too(tmp_path: Path) -> None:
    file = tmp_path / "o.toml"
    run("config", "init", str(file))
    data = tomllib.loads("\n".join(_uncommented(line) for line in file.read_text().splitlines()))
    assert data["stream"]["channel_cap"] == 32
    assert data["pools"][0]["sampler_profiles"]["precise"]["stop"] == ["\n\n"]


def _uncommented(line: str) -> str:
    """Keys and headers lose their comment sign, sentences keep it."""
    body = line.removeprefix("# ")
    return body if body.startswith("[pools") or " = " in body else line


def test_init_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "o.toml"
    file.write_text("mine")
    assert run("config", "init", str(file)) == 1
    assert file.read_text() == "mine"
    assert "exists already" in capsys.readouterr().err


def test_check_says_all_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "o.toml"
    file.write_text("[server]\nbnd = 1\n[log]\nlevel = 3\n")
    assert run("config", "check", str(file)) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "orchestratord: 3 problems:"
    assert f"{file}:2: server.bnd: unknown key; did you mean `bind`?" in told


@pytest.mark.req("OC-CONFIG-6010")
def test_schema_prints_the_shipped_schema_or_one_with_the_engines(capsys: pytest.CaptureFixture[str]) -> None:
    run("config", "schema", "--base")
    assert capsys.readouterr().out == schema_text()
    run("config", "schema")
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    check = Draft202012Validator(schema)

    def pool(engine: str, **settings: object) -> dict[str, object]:
        return {"pools": [{"id": "p", "engine": engine, "model_ref": "m", "replicas": [{"settings": settings}]}]}

    assert check.is_valid(pool("llamacpp", url="http://h", api_key_env="K"))
    assert check.is_valid(pool("mock", script=[{"do": "token", "text": "x"}]))
    assert not check.is_valid(pool("llamacpp", url="http://h", api_key="plain"))
    assert not check.is_valid(pool("llamacpp", script=[]))
    assert not check.is_valid(pool("mock", script=[{"do": "jump"}]))


def test_version_names_what_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version") == 0
    assert "adapters: llamacpp, mock" in capsys.readouterr().out


@pytest.mark.parametrize("command", [[], ["up"], ["serve"], ["run"], ["config"], ["config", "init"], ["version"]])
def test_every_command_explains_itself(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse([*command, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: {' '.join(['orchestratord', *command])} ")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "COMMAND"),
        (["up", "--parallel", "0"], "expected at least 1, got 0"),
        (["run", "x", "--temperature", "-1"], "expected a number from 0 on"),
        (["run", "x", "--temperature", "nan"], "expected a number from 0 on"),
        (["run", "x", "--max-tok", "3"], "unrecognized arguments"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(arguments)
    assert told in capsys.readouterr().err


def test_the_client_starts_without_the_service() -> None:
    """`run` answers a person: it does not wait for a web framework to be imported."""
    code = (
        "import sys, orchestratord.__main__, orchestratord.cli.run;"
        "print([name for name in ('quart', 'hypercorn', 'jsonschema', 'structlog') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"
