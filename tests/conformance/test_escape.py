"""What is seen of a step outside, whose line is named, what is let be, and that no trace is left."""

from __future__ import annotations

import _thread
import gc
import logging
import os
import random
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import uuid
from datetime import UTC, datetime
from queue import Empty, Queue
from time import monotonic  # noqa: TID251 - a name bound early
from typing import TYPE_CHECKING

import httpx
import pytest
import trio

from conformance.escape import spots
from conformance.escape.blame import blamed, where
from conformance.escape.doors import DOORS, RULES, Way
from conformance.escape.tolerated import TOLERATED
from conformance.escape.watch import Escaped, closely, watching

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from conformance.findings import Finding


def seen(step: Callable[[], object], *, is_close: bool = False) -> list[Finding]:
    with watching() as watch:
        watch.begin()
        try:
            if is_close:
                with closely():
                    step()
            else:
                step()
        except Escaped:
            assert watch.is_stopped
    return watch.findings


def by_default(clock: Callable[[], float] = time.monotonic) -> float:  # noqa: TID251 - as adapters do
    return clock()


READS: dict[str, tuple[Callable[[], object], str]] = {
    "time": (lambda: time.time(), "TMO-09"),  # noqa: TID251 - the line is what is named
    "bound-early": (lambda: monotonic(), "TMO-09"),
    "ns": (lambda: time.perf_counter_ns(), "TMO-09"),
    "localtime": (lambda: time.localtime(), "TMO-09"),
    "random": (lambda: random.random(), "DET-07"),
    "shuffle": (lambda: random.shuffle([1, 2]), "DET-07"),
    "system-random": (lambda: random.SystemRandom().random(), "DET-07"),
    "unseeded": (lambda: random.Random(), "DET-07"),
    "uuid4": (lambda: uuid.uuid4(), "DET-07"),
    "uuid1": (lambda: uuid.uuid1(), "DET-07"),
    "secrets": (lambda: secrets.token_hex(), "DET-07"),
    "writes": (lambda: open(os.devnull, "a").close(), "DET-08"),
    "writes-by-number": (lambda: os.close(os.open(os.devnull, os.O_WRONLY)), "DET-08"),
    "temporary": (lambda: tempfile.TemporaryFile().close(), "DET-08"),
}
HIDDEN: dict[str, Callable[[], object]] = {
    "now": lambda: datetime.now(UTC),
    "default": lambda: by_default(),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_is_noted_with_its_line_and_goes_on(name: str) -> None:
    step, check_id = READS[name]
    found = seen(step)
    assert {each.check_id for each in found} == {check_id}
    assert "test_escape.py:" in found[0].actual
    assert "in <lambda>: " in found[0].actual
    assert "(lambda: " in found[0].actual, "the source of the line"


@pytest.mark.parametrize("name", HIDDEN)
def test_a_clock_that_no_name_leads_to_is_heard_under_the_profile_only(name: str) -> None:
    assert seen(HIDDEN[name]) == []
    (found,) = seen(HIDDEN[name], is_close=True)
    assert found.check_id == "TMO-09"


def test_a_step_is_told_once_under_the_profile_as_well() -> None:
    assert len(seen(lambda: time.monotonic(), is_close=True)) == 1  # noqa: TID251 - the line is what is named


def test_what_is_called_when_rubbish_is_collected_is_no_step() -> None:
    taken: list[float] = []

    def collected(_phase: str, _figures: dict[str, int]) -> None:
        taken.append(time.monotonic())  # noqa: TID251 - as Hypothesis does

    gc.callbacks.append(collected)
    try:
        assert seen(gc.collect) == []
    finally:
        gc.callbacks.remove(collected)
    assert taken


def test_sleep_is_left_out() -> None:
    began_s = time.perf_counter()
    (found,) = seen(lambda: time.sleep(3600))
    assert found.check_id == "TMO-09"
    assert "trio.sleep()" in found.expected
    assert time.perf_counter() - began_s < 60


def test_waiting_on_locks_of_threads_is_left_out() -> None:
    assert {each.check_id for each in seen(lambda: threading.Event().wait(3600))} == {"TMO-09"}

    def gets() -> None:
        with pytest.raises(Empty):
            Queue[int]().get(timeout=1e-6)

    assert {each.check_id for each in seen(gets)} == {"TMO-09"}


STOPPED: dict[str, tuple[Callable[[], object], str]] = {
    "thread": (lambda: threading.Thread(target=int).start(), "TMO-09"),
    "raw-thread": (lambda: _thread.start_new_thread(int, ()), "TMO-09"),
    "timer": (lambda: threading.Timer(1, int).start(), "TMO-09"),
    "socket": (lambda: socket.socket(), "DET-08"),
    "connects": (lambda: socket.create_connection(("127.0.0.1", 9)), "DET-08"),
    "resolves": (lambda: socket.getaddrinfo("localhost", 80), "DET-08"),
    "process": (lambda: subprocess.run([sys.executable, "--version"], check=False), "DET-08"),
    "shell": (lambda: os.system("true"), "DET-08"),
}


@pytest.mark.parametrize("name", STOPPED)
def test_what_would_block_or_leave_virtual_time_is_stopped_at_the_spot(name: str) -> None:
    step, check_id = STOPPED[name]
    threads = threading.active_count()
    with watching() as watch:
        watch.begin()
        with pytest.raises(Escaped):
            step()
    assert watch.is_stopped
    assert threading.active_count() == threads
    (found,) = watch.findings
    assert found.check_id == check_id
    assert "--engine-url" in found.expected
    assert "in <lambda>: " in found.actual


async def asks_a_thread() -> None:
    await trio.to_thread.run_sync(sum, [])


async def dials_a_number() -> None:
    await trio.open_tcp_stream("127.0.0.1", 9)


async def dials_a_name() -> None:
    await trio.open_tcp_stream("engine.test", 9)


async def runs_a_program() -> None:
    await trio.run_process([sys.executable, "--version"])


async def reads_a_file() -> None:
    await trio.Path(__file__).read_text()


@pytest.mark.parametrize(
    ("act", "check_id", "line"),
    [
        (asks_a_thread, "TMO-09", "await trio.to_thread.run_sync("),
        (dials_a_number, "DET-08", "await trio.open_tcp_stream("),
        (dials_a_name, "DET-08", "await trio.open_tcp_stream("),
        (runs_a_program, "DET-08", "await trio.run_process("),
        (reads_a_file, "TMO-09", "await trio.Path("),
    ],
)
def test_what_trio_does_outside_is_blamed_on_whoever_asked_for_it(
    act: Callable[[], Awaitable[None]], check_id: str, line: str
) -> None:
    with watching() as watch:
        watch.begin()
        with pytest.raises((Escaped, BaseExceptionGroup)):  # noqa: ASYNC401 - some come alone, some in a group
            trio.run(act)
    assert watch.findings[0].check_id == check_id
    assert f": {line}" in watch.findings[0].actual


def test_a_worker_thread_that_idles_is_no_way_around() -> None:
    trio.run(asks_a_thread)
    with watching() as watch:
        watch.begin()
        with pytest.raises(Escaped):
            trio.run(asks_a_thread)


def test_a_run_of_trio_by_itself_is_no_step() -> None:
    assert seen(lambda: trio.run(trio.sleep, 0, clock=trio.testing.MockClock(autojump_threshold=0))) == []


def test_a_log_record_may_be_stamped_but_not_by_the_adapters_own_hand() -> None:
    log = logging.getLogger("test_escape")

    class Stamps(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            record.at = time.time()  # noqa: TID251 - the step
            return True

    assert seen(lambda: log.error("x")) == []
    log.addFilter(Stamps())
    assert ["in filter: record.at" in each.actual for each in seen(lambda: log.error("x"))] == [True]


def test_an_ordinary_client_of_http_takes_no_step() -> None:
    async def asks() -> None:
        transport = httpx.MockTransport(lambda _request: httpx.Response(200, headers={"set-cookie": "a=b; Max-Age=9"}))
        async with httpx.AsyncClient(transport=transport, base_url="http://engine.test") as client:
            await client.get("/")
            await client.post("/", files={"audio": b"x"})

    assert seen(lambda: trio.run(asks)) == []


@pytest.mark.parametrize("args", [(0,), (0.5,)])
def test_turning_a_time_that_is_known_into_words_reads_no_clock(args: tuple[float, ...]) -> None:
    assert seen(lambda: (time.gmtime(*args), time.strftime("%H", time.gmtime(*args)), random.Random(7))) == []
    assert seen(lambda: random.Random(x=7)) == []


def test_reading_a_file_is_no_step(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary"
    path.write_text("a")
    assert seen(path.read_text) == []
    assert [each.check_id for each in seen(lambda: path.write_text("b"))] == ["DET-08"]
    assert [each.check_id for each in seen(path.unlink)] == ["DET-08"]


def test_what_a_module_does_while_it_is_loaded_belongs_to_no_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loaded_late.py").write_text("import time\nBEGAN = time.time()\nfrom time import monotonic as kept\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert seen(lambda: __import__("loaded_late")) == []
    late = sys.modules.pop("loaded_late")
    assert late.kept() > 0, "what it has kept of the watch passes on"
    monkeypatch.setitem(sys.modules, "loaded_late", late)
    assert len(seen(lambda: late.kept())) == 1, "and tells in the next case"


def test_a_clock_that_a_class_has_kept_while_watched_is_no_method() -> None:
    def makes() -> float:
        kept = type("Keeps", (), {"now": time.monotonic})  # noqa: TID251 - the step
        return float(kept().now())

    assert len(seen(makes)) == 1


def test_other_threads_are_nobodys_step() -> None:
    times: list[float] = []
    with watching() as watch:
        other = threading.Thread(target=lambda: times.append(time.time()))  # noqa: TID251 - the step
        other.start()  # the watch has begun in no thread yet
        watch.begin()
        other._started.wait()  # type: ignore[attr-defined]
    other.join()
    assert [each for each in watch.findings if "time.time" in each.actual] == []


def test_no_trace_is_left() -> None:
    def held() -> list[object]:
        return [clock for clock in vars(time).values() if callable(clock)] + [
            *(random.random, random.Random.__init__, os.urandom, monotonic),
            *(threading.Thread.start, threading.Condition.wait, trio.lowlevel.start_thread_soon),
        ]

    before = held()
    with watching() as watch:
        watch.begin()
        during = held()
        time.time()  # noqa: TID251 - the step
    assert len(watch.findings) == 1
    assert sum(each is not other for each, other in zip(before, during, strict=True)) > 20
    assert all(each is other for each, other in zip(before, held(), strict=True))
    assert sys.getprofile() is None
    time.time()  # noqa: TID251 - no longer a step
    assert len(watch.findings) == 1


def test_the_hooks_go_even_if_the_case_breaks() -> None:
    before = time.sleep
    with pytest.raises(LookupError), watching():
        raise LookupError
    assert time.sleep is before


def library(tmp_path: Path, name: str, source: str) -> types.ModuleType:
    """Return a module that looks installed."""
    path = tmp_path / "site-packages" / f"{name}.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    module = types.ModuleType(name)
    exec(compile(source, str(path), "exec"), vars(module))
    return module


STAMPS = "import time\ndef stamp():\n    return time.time()\n"


def test_through_a_library_the_adapters_own_line_is_named_and_the_librarys_too(tmp_path: Path) -> None:
    stamps = library(tmp_path, "stamps", STAMPS)
    (found,) = seen(lambda: stamps.stamp())
    assert "test_escape.py:" in found.actual
    assert "(through stamps.py:3)" in found.actual.replace(str(tmp_path), "").replace("/site-packages/", "")


def test_an_adapter_that_is_installed_itself_is_named(tmp_path: Path) -> None:
    mine = library(tmp_path, "my_adapter", STAMPS)
    with watching() as watch:
        watch.begin()
        watch.own.add("my_adapter")
        mine.stamp()
    assert "in stamp: return time.time()" in watch.findings[0].actual
    assert "through" not in watch.findings[0].actual


def test_where_only_a_library_is_on_the_way_it_is_named(tmp_path: Path) -> None:
    stamps = library(tmp_path, "stamps", STAMPS)
    with watching() as watch:

        def works() -> None:
            watch.begin()
            stamps.stamp()

        thread = threading.Thread(target=works)
        thread.start()
        thread.join()
    assert "test_escape.py" in watch.findings[0].actual
    frame = sys._getframe()
    assert blamed(frame, Way.CLOCK) is not None
    assert where(frame) is not None


def test_what_is_let_be_has_a_reason_and_each_way_out_an_owner() -> None:
    assert all(row.reason and row.ways for row in TOLERATED)
    assert set(RULES) == set(Way)
    assert len({door.label for door in DOORS}) == len(DOORS)


def test_every_door_is_there() -> None:
    with spots.replaced(lambda _door, _frame: False):
        made = spots._made()
        there = {*(each[1] for each in made.names), *(each[1] for each in made.methods)}
    missing = {door.name.rpartition(".")[2] for door in DOORS} - there
    assert missing <= {"getrandom"}, "only what this system has not"
