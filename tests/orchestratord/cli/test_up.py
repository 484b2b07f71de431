import io
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import trio

from orchestratord.cli.parser import parse
from orchestratord.cli.serving import Running
from orchestratord.cli.signals import interruptible
from orchestratord.cli.start import CommandFailed
from orchestratord.cli.up import Up
from orchestratord.config import Config
from orchestratord.embedded import model as model_module
from tests.orchestratord.cli.fake_daemon import END, STARTED, Answer, FakeDaemon, token

MOCK_POOL: dict[str, object] = {"engine": "mock", "models": ["default"]}


@dataclass
class RunningService:
    url: str
    stop: Callable[[], None]


class Service:
    """Serves a `FakeDaemon` until it is stopped."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        self.configs: list[Config] = []

    async def __call__(self, config: Config, *, task_status: trio.TaskStatus[Running]) -> None:
        self.configs.append(config)
        stopped = trio.Event()
        async with self.daemon.on_loopback() as url:
            task_status.started(RunningService(url, stopped.set))
            await stopped.wait()
            await trio.testing.wait_all_tasks_blocked(0.05)  # a drain: clients may still cancel


class Person(io.StringIO):
    """Reads what is printed and presses Ctrl-C once a line says what they wait for."""

    def __init__(self, waits_for: str) -> None:
        super().__init__()
        self._waits_for = waits_for

    def write(self, text: str) -> int:
        if self._waits_for in text:
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


async def up(
    *flags: str,
    daemon: FakeDaemon | None = None,
    environ: dict[str, str] | None = None,
    until: str = "Ctrl-C drains",
) -> tuple[Service, str]:
    out = Person(until)
    service = Service(daemon or FakeDaemon([STARTED, token(" and so on."), END], pools=[MOCK_POOL]))
    command = Up(parse(["up", "--bind", "127.0.0.1:0", *flags]), environ or {}, out, lambda _: None, service)
    with trio.fail_after(10):
        assert await interruptible(command.run) == 0
    return service, out.getvalue()


async def test_it_serves_shows_the_curls_and_streams_a_sample() -> None:
    service, out = await up("--mock", "--prompt", "Once")
    assert "Once and so on.\n[2 tokens in 0.1 s" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == ["#", "curl"] * 7
    (url,) = set(re.findall(r"http://[0-9.]+:[0-9]+", out))
    assert service.daemon.calls[:2] == ["GET /v1/capabilities", "POST /v1/tasks"]
    assert f"Serving at {url}" in out


async def test_the_curl_that_enqueues_holds_a_task_that_the_service_takes() -> None:
    _, out = await up("--mock", "--no-sample", until="Or simply")
    enqueue = next(line for line in out.splitlines() if "-d '" in line)
    task = msgspec.json.decode(enqueue.partition("-d '")[2].rstrip("'"), type=dict[str, object])
    assert {"task_id", "session_id", "workload", "model_ref", "engine", "ctx", "priority", "max_tokens"} < set(task)
    assert f"/v1/tasks/{task['task_id']}/stream" in out
    assert f"/v1/tasks/{task['task_id']}/cancel" in out


async def test_without_a_sample_no_task_is_sent() -> None:
    service, _ = await up("--mock", "--no-sample", until="Or simply")
    assert service.daemon.tasks == []


@pytest.mark.req("AUTH-1001")
async def test_with_a_token_the_curls_name_its_variable_and_the_sample_sends_it() -> None:
    service, out = await up("--mock", environ={"AUTH_TOKEN": "t0k3n"})
    assert out.count('-H "Authorization: Bearer $AUTH_TOKEN"') == 6
    assert "t0k3n" not in out
    assert {headers["authorization"] for headers in service.daemon.headers} == {"Bearer t0k3n"}


async def test_the_flag_wins_over_the_environment_and_the_level_is_kept() -> None:
    service, _ = await up(
        "--mock", "--no-sample", "--log-level", "error", environ={"ORCHD_ADDR": "127.0.0.1:1"}, until="Or simply"
    )
    assert (service.configs[0].server.bind, service.configs[0].log.level) == ("127.0.0.1:0", "error")


async def test_a_pool_that_is_not_ready_yet_is_tried_again() -> None:
    class Warming(FakeDaemon):
        def _answer(self, path: str, body: bytes) -> Answer | None:
            if path == "/v1/tasks" and self.calls.count("POST /v1/tasks") < 3:
                return Answer(503, {"code": "POOL_UNREADY", "message": "wait", "retry_after_ms": 1})
            return super()._answer(path, body)

    _, out = await up("--mock", daemon=Warming([STARTED, token("x"), END], pools=[MOCK_POOL]))
    assert "failed" not in out
    assert "[2 tokens" in out


async def test_a_sample_that_fails_leaves_the_service_running() -> None:
    refusal = Answer(429, {"code": "ADMISSION_REJECT", "message": "full"})
    _, out = await up("--mock", daemon=FakeDaemon(pools=[MOCK_POOL], refusals={"/v1/tasks": refusal}))
    assert "the sample failed: ADMISSION_REJECT: full" in out
    assert "Serving at" in out


async def test_a_signal_in_the_middle_of_the_sample_cancels_it() -> None:
    daemon = FakeDaemon([STARTED, token("half")], pools=[MOCK_POOL], holds=True)
    await up("--mock", daemon=daemon, until="half")
    assert daemon.cancels == 1


async def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "find_spec", lambda _: None)
    with pytest.raises(CommandFailed, match=r"pip install 'orchestratord\[embedded\]'"):
        await up()


@pytest.mark.req("AUTH-1002")
async def test_an_address_that_others_reach_needs_a_token_before_a_model_is_loaded() -> None:
    with pytest.raises(CommandFailed, match="NON_LOOPBACK_WITHOUT_TOKEN"):
        await up("--bind", "0.0.0.0:0")


async def test_a_model_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="cannot read the model"):
        await up("--model", str(tmp_path / "none.gguf"))
