"""An adapter on a running engine: what is tried there, what is not and why, and how it is named."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

import pytest

from conformance.__main__ import main
from conformance.loading import NoSubject
from conformance.outcome import Exit
from conformance.running_engine import running_engine

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def engine() -> Iterator[str]:
    """Run a double in a process of its own; give its address."""
    command = [sys.executable, "-m", "conformance", "engine", "llamacpp", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield next(
                word for line in cast("IO[str]", process.stdout) for word in line.split() if word.startswith("http://")
            )
        finally:
            process.kill()


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["run", *arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_what_holds_for_any_engine_is_tried_in_real_time(capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as url:
        code = run("--adapter", "llamacpp", "--engine-url", url, "--only", "HPC-06,HPC-07,TMO-01,ERR-01,FRM-07")
    shown = capsys.readouterr().out
    assert code == Exit.CONFORMING, shown
    assert "on a running engine, in real time" in shown
    assert f"llamacpp --engine-url {url} conforms, as far as a running engine shows: 2 pass, 3 n/a; 2 cases" in shown
    assert "n/a: a running engine does as it likes, and this needs one that does as it is told:" in shown
    assert "FRM-07, ERR-01, TMO-01" in shown
    assert f"  {'time-outs':<16}{0:>5} played" in shown


def test_only_what_needs_a_script_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as url:
        assert run("--adapter", "llamacpp", "--engine-url", url, "--only", "TMO-01") == Exit.TOO_LITTLE_RAN
    assert "no verdict on llamacpp" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--adapter", "llamacpp", "--engine-url", "http://127.0.0.1:9"], "the engine is not ready: "),
        (["--adapter", "llamacpp", "--engine-url", "nowhere:8081"], "with its scheme, as in http://nowhere:8081"),
        (["--adapter", "llamacpp", "--engine-url", "http://a b"], "the adapter cannot be opened: "),
        (["--adapter", "mock", "--engine-url", "http://127.0.0.1:9"], "the adapter of mock takes no address"),
        (
            ["--adapter", "llamacpp", "--engine-url", "http://127.0.0.1:9", "--setting", "api_kei=x"],
            "there is no setting 'api_kei'; did you mean api_key?",
        ),
        (["--adapter", "llamap", "--engine-url", "http://127.0.0.1:9"], "no adapter for engine 'llamap'"),
        (
            ["--adapter", "conformance.subjects:VLLM", "--engine-url", "http://127.0.0.1:9"],
            "is no adapter's factory",
        ),
        (["--adapter", "mock", "--setting", "model=x"], "--setting goes with --engine-url"),
        (["--adapter", "mock", "--engine-url", "http://127.0.0.1:9", "--setting", "x"], "not of the form NAME=VALUE"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == Exit.USAGE
    assert words in capsys.readouterr().err


@pytest.mark.req("HTU-1004")
def test_no_credential_is_in_the_name_that_reports_show() -> None:
    settings = {"url": "http://user:hunter22@host:1/v1", "api_key": "sk-hunter33", "model_digest": "big"}
    subject = running_engine("adapters.llamacpp:factory", settings)
    assert subject.name == "adapters.llamacpp:factory --engine-url http://host:1/v1 --setting model_digest=big"
    assert {"scripts", "secrets"} == set(subject.limits)
    assert subject.settings["api_key"] == "sk-hunter33"
    with pytest.raises(NoSubject):
        running_engine("nobody", settings)


def test_a_setting_has_the_type_that_the_adapter_wants() -> None:
    typed = {"ctx_max": "4096", "verify_tls": "false", "engine_version": "7", "timeouts": '{"idle_ms": 900}'}
    subject = running_engine("llamacpp", {"url": "http://host:1", **typed})
    assert subject.settings["ctx_max"] == 4096
    assert subject.settings["verify_tls"] is False
    assert subject.settings["engine_version"] == "7"
