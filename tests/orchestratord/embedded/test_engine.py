import os
import signal
from pathlib import Path

import pytest
import trio

from orchestratord.embedded import engine as engine_module
from orchestratord.embedded import process as process_module
from orchestratord.embedded.child import EXIT_PORT_TAKEN
from orchestratord.embedded.engine import EngineSettings, open_embedded_engine
from orchestratord.embedded.reports import EngineUnavailable, Step
from tests.orchestratord.embedded.support import COMES_UP, NO_MODEL, REAL_TIME_GUARD_S, Reports, gone, python

SETTINGS = EngineSettings()


async def test_the_engine_is_up_inside_the_block_and_gone_after_it() -> None:
    reports = Reports()
    async with open_embedded_engine(NO_MODEL, SETTINGS, reports, python(COMES_UP)) as engine:
        pid = engine.pid
        assert pid is not None
        os.kill(pid, 0)
        assert engine.url.startswith("http://127.0.0.1:")
    await gone(pid)
    assert [progress.step for progress in reports.seen] == [Step.LOADING, Step.READY]


async def test_an_engine_that_dies_is_told_of_and_brought_back_on_the_same_port() -> None:
    reports = Reports()
    async with open_embedded_engine(NO_MODEL, SETTINGS, reports, python(COMES_UP)) as engine:
        first_url, first_pid = engine.url, engine.pid
        assert first_pid is not None
        os.kill(first_pid, signal.SIGKILL)
        died = await reports.wait_for(Step.DIED)
        assert engine.pid is None
        await reports.wait_for(Step.READY, times=2)
        assert (engine.url, engine.restarts) == (first_url, 1)
        assert engine.pid not in {None, first_pid}
    assert died.human == "the embedded engine ended (killed by signal 9); it starts again in 0.25 s"


async def test_back_off_doubles_up_to_its_cap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine_module, "_BACKOFF_FIRST_S", 0.01)
    monkeypatch.setattr(engine_module, "_BACKOFF_CAP_S", 0.04)
    reports = Reports()
    once = (
        f"import os, sys; p = {str(tmp_path / 'ran')!r}; sys.exit(3) if os.path.exists(p) else open(p, 'x'); {COMES_UP}"
    )
    async with open_embedded_engine(NO_MODEL, SETTINGS, reports, python(once)) as engine:
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        await reports.wait_for(Step.DIED, times=5)
    delays = [progress.human.rpartition("in ")[2] for progress in reports.of(Step.DIED)]
    assert delays == ["0.01 s", "0.02 s", "0.04 s", "0.04 s", "0.04 s"]


async def test_an_engine_that_does_not_start_raises_with_the_end_of_its_log() -> None:
    code = "import sys; print('model is broken', file=sys.stderr); sys.exit(97)"
    with pytest.raises(EngineUnavailable, match=r"did not start \(exit code 97\)\n  engine: model is broken"):
        async with open_embedded_engine(NO_MODEL, SETTINGS, Reports(), python(code)):
            raise AssertionError("the block was entered")


async def test_a_lost_race_for_the_port_means_another_port(tmp_path: Path) -> None:
    seen = tmp_path / "ports"
    taken_once = (
        f"import sys, os; p = {str(seen)!r}; first = not os.path.exists(p);"
        f"print(sys.argv[1], file=open(p, 'a'), flush=True); sys.exit({EXIT_PORT_TAKEN}) if first else None; {COMES_UP}"
    )
    async with open_embedded_engine(NO_MODEL, SETTINGS, Reports(), python(taken_once)) as engine:
        first, second = seen.read_text().split()
        assert engine.url == f"http://127.0.0.1:{second}"
    assert first != second


async def test_a_port_that_is_always_taken_gives_up() -> None:
    with pytest.raises(EngineUnavailable, match=f"exit code {EXIT_PORT_TAKEN}"):
        async with open_embedded_engine(NO_MODEL, SETTINGS, Reports(), python(f"exit({EXIT_PORT_TAKEN})")):
            raise AssertionError("the block was entered")


async def test_an_engine_that_ignores_the_request_to_stop_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "STOP_GRACE_S", 0.1)
    deaf = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {COMES_UP}"
    async with open_embedded_engine(NO_MODEL, SETTINGS, Reports(), python(deaf)) as engine:
        pid = engine.pid
    assert pid is not None
    await gone(pid)


async def test_a_cancel_while_the_model_loads_leaves_no_process() -> None:
    reports = Reports()
    slow = "import os, sys; print(os.getpid(), file=sys.stderr, flush=True); import time; time.sleep(60)"
    with trio.fail_after(REAL_TIME_GUARD_S), trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def cancel_once_it_loads() -> None:
                await reports.wait_for(Step.LOADING)
                scope.cancel()

            nursery.start_soon(cancel_once_it_loads)
            async with open_embedded_engine(NO_MODEL, SETTINGS, reports, python(slow)):
                raise AssertionError("the block was entered")
    assert scope.cancelled_caught


async def test_ctrl_c_in_the_terminal_does_not_reach_the_engine() -> None:
    """A signal to the terminal's process group would end the engine before the daemon has drained."""
    async with open_embedded_engine(NO_MODEL, SETTINGS, Reports(), python(COMES_UP)) as engine:
        assert engine.pid is not None
        assert os.getpgid(engine.pid) != os.getpgid(0)


@pytest.mark.req("HTU-1004")
async def test_no_credential_of_the_environment_reaches_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AUTH_TOKEN", "MY_API_KEY", "db_password"):
        monkeypatch.setenv(name, "canary")
    code = "import os, sys; print([n for n, v in os.environ.items() if v == 'canary'], file=sys.stderr); sys.exit(1)"
    with pytest.raises(EngineUnavailable, match=r"engine: \[\]"):
        async with open_embedded_engine(NO_MODEL, SETTINGS, Reports(), python(code)):
            raise AssertionError("the block was entered")
