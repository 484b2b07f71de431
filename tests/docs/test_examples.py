"""What the pages show works: configurations load, requests decode, command lines parse, routes exist."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import specs
from conformance.__main__ import main as conformance
from orchestratord.cli.parser import parse
from orchestratord.config import config_from
from orchestratord.core.wire import decode_task

from .pages import ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .pages import Block

SHELL = ("console", "sh")
KEYS = ("LLAMA_API_KEY", "OPENAI_API_KEY", "VLLM_API_KEY")
ENVIRONMENT = {**dict.fromkeys(KEYS, "an-example-key"), "AUTH_TOKEN": "an-example-token"}
ASSIGNMENT = re.compile(r"^[A-Z_]+=")
PLACEHOLDERS = re.compile(r"\{\w+\}")
CURL_FLAGS_WITH_VALUE = {"-H": "header", "-d": "body", "-X": "method"}
CURL_FLAGS = {"-i", "-s", "-N", "-f"}
EXCERPTS = ROOT / "docs" / "tutorial" / "write-an-adapter.md"
"""Its blocks are excerpts of an example, to which `tests/examples` hold them."""
AN_ENGINE = "http://127.0.0.1:9100"
"""Where that example's engine listens."""
A_POOL = {"id": "p", "engine": "mock", "model_ref": "m", "replicas": [{}]}
"""What a page that shows one table leaves out."""
KNOWN_PROGRAMS = {"export", "make", "llama-server", "journalctl", "source", "cd", "pip", "python", "pytest"}


class Call(NamedTuple):
    """A command line and the block it stands in."""

    block: Block
    words: list[str]


def calls(*programs: str) -> list[Call]:
    return [call for block in blocks(*SHELL) for call in _calls(block) if call.words[0] in programs]


def to_the_daemon(shown: list[Call]) -> list[Call]:
    """Leave out the calls to the engine itself, which has routes of its own."""
    return [call for call in shown if not any(word.startswith(AN_ENGINE) for word in call.words)]


def _calls(block: Block) -> Iterator[Call]:
    lines = block.text.replace("\\\n", " ").splitlines()
    shown = [line.removeprefix("$ ") for line in lines if block.language == "sh" or line.startswith("$ ")]
    for line in shown:
        words = shlex.split(line.partition(" | ")[0], comments=True)
        while words and ASSIGNMENT.match(words[0]):
            words.pop(0)
        if words:
            yield Call(block, [Path(words[0]).name, *words[1:]])


@pytest.mark.parametrize("block", [block for block in blocks("toml") if block.page != EXCERPTS], ids=str)
def test_a_configuration_that_is_shown_loads(block: Block) -> None:
    config_from({"pools": [A_POOL], **tomllib.loads(block.text)}, ENVIRONMENT)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_that_is_shown_is_json_and_a_task_is_one(block: Block) -> None:
    shown = json.loads(block.text)
    if "workload" in shown:
        decode_task(block.text.encode())


@pytest.mark.parametrize("call", calls("orchestratord"), ids=lambda call: str(call.block))
def test_a_command_that_is_shown_parses(call: Call) -> None:
    parse(call.words[1:])


@pytest.mark.parametrize("call", calls("conformance"), ids=lambda call: str(call.block))
def test_a_conformance_command_that_is_shown_parses(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        conformance([*call.words[1:], "--help"])
    assert capsys.readouterr().out


@pytest.mark.req("OC-CTRL-2004a")
@pytest.mark.parametrize("call", to_the_daemon(calls("curl")), ids=lambda call: str(call.block))
def test_a_curl_that_is_shown_calls_a_route(call: Call) -> None:
    method, path = asked(call.words[1:])
    routes = [(route.method, PLACEHOLDERS.sub("[^/]+", route.path)) for route in specs.load().routes]
    assert any(method == known and re.fullmatch(pattern, path) for known, pattern in routes)


def test_every_command_that_is_shown_is_looked_at() -> None:
    """A typing error in a program's name does not hide a command from these tests."""
    programs = {call.words[0] for block in blocks(*SHELL) for call in _calls(block)}
    assert programs - KNOWN_PROGRAMS - {"orchestratord", "conformance", "curl"} == set()


def test_make_targets_that_are_shown_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for call in calls("make"):
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in call.words[1:])


@pytest.mark.parametrize("block", blocks("ini"), ids=str)
def test_the_command_of_a_service_unit_parses(block: Block) -> None:
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.read_string(block.text)
    program, *arguments = shlex.split(unit["Service"]["execstart"])
    assert program.endswith("/orchestratord")
    parse(arguments)


def asked(arguments: list[str]) -> tuple[str, str]:
    """The method and path that a `curl` with these arguments asks for."""
    given: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        if word in CURL_FLAGS_WITH_VALUE:
            given[CURL_FLAGS_WITH_VALUE[word]] = next(words)
        elif word.startswith("http"):
            given["path"] = re.sub(r"^https?://[^/]+", "", word)
        else:
            assert word in CURL_FLAGS, f"no flag of curl that the pages use: {word}"
    return given.get("method", "POST" if "body" in given else "GET"), given["path"]
