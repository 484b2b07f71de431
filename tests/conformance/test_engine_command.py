"""`conformance engine` as a person meets it: engines, flags, scripts, what is printed, Ctrl-C."""

from __future__ import annotations

import argparse
import io
import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Literal, cast
from urllib.request import Request, urlopen

import pytest

from conformance.__main__ import main
from conformance.engines.openai import OpenAiSettings
from conformance.engines.script import Pause, Script, Text
from conformance.engines.vllm import VllmSettings
from conformance.hand.command import ENGINES, read_scripts
from conformance.hand.flags import add_flags, flags_of, with_flags
from conformance.outcome import Exit

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def given(settings: object, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser, settings)
    return parser.parse_args(arguments)


def test_the_engines_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("engine", "--list") == Exit.CONFORMING
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(ENGINES)


@pytest.mark.parametrize("engine", ENGINES)
def test_each_engine_tells_its_settings_and_how_it_is_scripted(engine: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("engine", engine, "--help") == Exit.CONFORMING
    shown = capsys.readouterr().out
    assert "--token-s X" in shown
    assert '{"steps": [{"step": "Text"' in shown
    for flag in flags_of(ENGINES[engine].settings):
        assert flag.option.removeprefix("--") in shown


@dataclass(frozen=True)
class Part:
    name: str = "x"
    way: Literal["first", "last"] = "first"


@dataclass(frozen=True)
class Whole:
    count: int = 2
    share: float | None = 0.5
    is_on: bool = True
    is_off: bool = False
    words: tuple[str, ...] = ()
    part: Part = field(default_factory=Part)


def test_flags_set_fields_of_every_plain_kind_and_of_parts() -> None:
    arguments = ("--count", "3", "--share", "none", "--no-is-on", "--is-off", "--part-name", "y", "--part-way", "last")
    whole = Whole()
    changed = with_flags(whole, given(whole, *arguments))
    assert changed == Whole(count=3, share=None, is_on=False, is_off=True, part=Part("y", "last"))
    assert with_flags(whole, given(whole)) == whole


def test_the_settings_of_the_doubles_have_flags() -> None:
    vllm, openai = VllmSettings(), OpenAiSettings()
    assert with_flags(vllm, given(vllm, "--queue", "3")).queue == 3
    assert with_flags(openai, given(openai, "--quirks-role", "never")).quirks.role == "never"


SCRIPT = '{"steps": [{"step": "Text", "text": "Hel"}, {"step": "Pause", "seconds": 2}]}'


def test_a_file_holds_one_script_or_a_list_of_them(tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(SCRIPT, "utf-8")
    two.write_text(f"[{SCRIPT}, {SCRIPT}]", "utf-8")
    expected = Script.of(Text("Hel"), Pause(2))
    assert read_scripts(str(one)) == (expected,)
    assert read_scripts(str(two)) == (expected, expected)


def test_a_script_can_come_on_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(SCRIPT))
    assert read_scripts("-") == (Script.of(Text("Hel"), Pause(2)),)


@pytest.mark.parametrize(("text", "words"), [
    ('{"steps": [{"step": "Txet"}]}', "steps[0]: unknown step 'Txet'"),
    ('{"steps": [{"step": "Text", "text": 7}]}', "steps[0]: Text: Expected `str`"),
    ('{"steps": [{"step": "Text", "words": "x"}]}', "Text has no field 'words'"),
    ('{"stpes": []}', "stpes"),
    ("steps:", "malformed"),
])  # fmt: skip
def test_a_script_that_is_wrong_is_told_so(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "script.json"
    file.write_text(text, "utf-8")
    assert run("engine", "vllm", "--script", str(file)) == Exit.USAGE
    shown = capsys.readouterr().err
    assert f"{file}: " in shown
    assert words in shown


@pytest.mark.parametrize(("arguments", "words"), [
    (("engine",), "required: NAME"),
    (("engine", "vlm"), "invalid choice: 'vlm'"),
    (("engine", "vllm", "--port", "70000"), "'70000' is no port"),
    (("engine", "vllm", "--slots", "-1"), "'-1' is no whole number from 0 up"),
    (("engine", "vllm", "--token-s", "soon"), "'soon' is no number from 0 up"),
    (("engine", "openai", "--retry-after", "never"), "invalid choice: 'never'"),
    (("engine", "vllm", "--script", "no-such-file"), "no-such-file: No such file"),
])  # fmt: skip
def test_wrong_usage_says_what_is_wrong(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == Exit.USAGE
    assert words in capsys.readouterr().err


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "conformance", "engine", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ask(url: str, path: str, body: dict[str, object]) -> str:
    headers = {"content-type": "application/json"}
    with urlopen(Request(url + path, json.dumps(body).encode(), headers)) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_what_it_sees_until_it_is_ended(ends: signal.Signals, tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text('{"steps": [{"step": "Text", "text": "Hello"}]}', "utf-8")
    with start("vllm", "--port", "0", "--script", str(file)) as engine:
        out = cast("IO[str]", engine.stdout)
        found = re.match(r"vllm double at (http://127\.0\.0\.1:\d+)", out.readline())
        assert found is not None
        assert "Hello" in ask(found[1], "/v1/completions", {"prompt": "secret plans", "stream": True})
        engine.send_signal(ends)
        shown, errors = engine.communicate(timeout=20)
    assert engine.returncode == 0
    assert re.search(r"#0  POST /v1/completions  stream=True\n.*#0  200 after", shown)
    assert "requests: 1; clients that left too early: 0" in shown
    assert "secret plans" not in shown
    assert errors == ""


def test_it_can_leave_out_who_only_asks_how_the_engine_is() -> None:
    with start("vllm", "--port", "0", "--only-work", "--bodies") as engine:
        url = cast("IO[str]", engine.stdout).readline().split()[3]
        with urlopen(f"{url}/health"):
            pass
        ask(url, "/v1/completions", {"prompt": "Hi", "max_tokens": 1})
        engine.send_signal(signal.SIGINT)
        shown = engine.communicate(timeout=20)[0]
    assert "/health" not in shown
    assert '#1  {"prompt": "Hi", "max_tokens": 1}' in shown
    assert "requests: 2;" in shown


def test_a_port_that_is_taken_is_told() -> None:
    with start("openai", "--port", "0") as engine:
        port = cast("IO[str]", engine.stdout).readline().split(":")[2].split()[0]
        second = subprocess.run(
            [sys.executable, "-m", "conformance", "engine", "vllm", "--port", port],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        engine.send_signal(signal.SIGINT)
    assert second.returncode == Exit.USAGE
    assert second.stderr == f"conformance engine: port {port}: Address already in use; see --port\n"
