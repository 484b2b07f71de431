"""What every double does, whatever its engine: it dies, comes back, loads, remembers who left."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.host import Link
from conformance.engines.plain import PlainStage
from conformance.engines.play import play
from conformance.engines.script import Cut, Fail, Pause, Script, Stall, Text
from conformance.engines.server import ServerDouble, open_double
from conformance.schedule import seeded
from tests.conformance_engines.client import ask, open_call

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conformance.engines.http1 import Exchange, SeenRequest


@final
class Echo(ServerDouble):
    """An engine that says what its script says; it counts how often its process was forgotten."""

    def __init__(self, nursery: trio.Nursery, *, listens: bool) -> None:
        super().__init__(nursery, Link(), work=[("POST", "/say")], listens_while_loading=listens)
        self.forgotten = 0
        self.doomed: list[Fail] = []

    async def respond(self, exchange: Exchange) -> None:
        if exchange.request.path == "/say":
            await self.generate(exchange, Saying(self, exchange))
        else:
            await exchange.answer(503 if self.is_loading else 200, b"", "")

    def forget(self) -> None:
        self.forgotten += 1


@final
class Saying:
    def __init__(self, double: Echo, exchange: Exchange) -> None:
        self._double = double
        self._exchange = exchange
        self.is_finished = False

    async def run(self, script: Script) -> None:
        await play(script, PlainStage(self._exchange), self._exchange)
        self.is_finished = True

    def doom(self, failure: Fail) -> None:
        self._double.doomed.append(failure)


@final
class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def arrived(self, number: int, request: SeenRequest) -> None:
        self.lines.append(f"{number} {request.method} {request.path}")

    def over(self, number: int, exchange: Exchange) -> None:
        self.lines.append(f"{number} {exchange.status} {exchange.is_complete}")


@asynccontextmanager
async def echoing(*scripts: Script, listens: bool = False) -> AsyncIterator[Echo]:
    async with open_double(lambda nursery: Echo(nursery, listens=listens)) as double:
        double.load(*scripts)
        yield double


async def can_connect(double: Echo) -> bool:
    try:
        async with await double.dial("engine.test", 8080):
            return True
    except ConnectionRefusedError:
        return False


async def test_scripts_are_played_in_order_and_the_last_again() -> None:
    async with echoing(Script.of(Text("one")), Script.of(Text("two"))) as double:
        said = [(await ask(double, "/say", {"a": 1})).body for _ in range(3)]
    assert said == [b"one", b"two", b"two"]
    assert double.facts.submitted == 3


async def test_a_path_has_scripts_of_its_own_until_they_are_taken_away() -> None:
    async with echoing(Script.of(Text("one"))) as double:
        double.load(Script.of(Text("odd")), path="/health")
        assert (await ask(double, "/health")).body == b"odd"
        double.load(path="/health")
        assert (await ask(double, "/health")).body == b""
        assert (await ask(double, "/say", {"a": 1})).body == b"one"


async def test_an_empty_object_only_tries_a_route() -> None:
    async with echoing() as double:
        await ask(double, "/say", body=b"{}")
        await ask(double, "/health")
    assert (double.facts.submitted, len(double.facts.requests)) == (0, 2)


async def test_a_client_that_leaves_too_early_is_noted_with_its_moment(autojump_clock: MockClock) -> None:
    async with echoing(Script.of(Text("one")), Script.of(Text("two"), Stall())) as double:
        await ask(double, "/say", {"a": 1})
        async with open_call(double, "/say", {"a": 2}) as call:
            await call.until(b"two")
            await trio.sleep(3)
        await wait_all_tasks_blocked()
        assert double.facts.gone == [(3.0, 1)]


async def test_a_process_that_ends_takes_its_connections_and_no_client_has_left(autojump_clock: MockClock) -> None:
    async with echoing(Script.of(Text("one"), Stall())) as double, open_call(double, "/say", {"a": 1}) as call:
        await call.until(b"one")
        double.die(5)
        assert not (await call.finish()).is_whole
        assert not await can_connect(double)
        await trio.sleep(5)
        assert await can_connect(double)
        await wait_all_tasks_blocked()
        assert (double.facts.gone, double.facts.connections, double.forgotten) == ([], 0, 1)


async def test_most_engines_refuse_connections_until_they_have_loaded(autojump_clock: MockClock) -> None:
    async with echoing() as double:
        double.start(loading_s=4)
        assert (double.is_loading, await can_connect(double)) == (True, False)
        await trio.sleep(4)
        assert (double.is_loading, await can_connect(double)) == (False, True)


async def test_an_engine_may_listen_while_it_loads(autojump_clock: MockClock) -> None:
    async with echoing(listens=True) as double:
        double.load_model(4)
        assert (await ask(double, "/health")).status == 503
        await trio.sleep(4)
        assert (await ask(double, "/health")).status == 200


async def test_loading_anew_puts_off_the_moment(autojump_clock: MockClock) -> None:
    async with echoing() as double:
        double.load_model(4)
        await trio.sleep(2)
        double.load_model(4)
        await trio.sleep(3)
        assert not await can_connect(double)
        await trio.sleep(1)
        assert await can_connect(double)


async def test_a_process_that_was_ended_does_not_come_back_when_it_would_have_loaded(
    autojump_clock: MockClock,
) -> None:
    async with echoing() as double:
        double.load_model(4)
        double.stop()
        await trio.sleep(5)
        assert not await can_connect(double)
        double.start()
        assert await can_connect(double)


async def test_an_engine_that_loads_refuses_on_a_real_port_too() -> None:
    async with echoing() as double:
        double.load_model(30)
        port = int((await double.serve_tcp()).rsplit(":", 1)[1])
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", port)
        double.load_model(0)
        await wait_all_tasks_blocked()
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.aclose()


async def test_a_batch_that_fails_dooms_every_generation(autojump_clock: MockClock) -> None:
    failure = Fail(500, "server_error", "lost")
    async with (
        echoing(Script.of(Text("one"), Stall())) as double,
        open_call(double, "/say", {"a": 1}) as first,
        open_call(double, "/say", {"a": 2}) as second,
    ):
        await first.until(b"one")
        await second.until(b"one")
        double.fail_batch(failure)
        assert double.doomed == [failure, failure]


async def test_who_watches_is_told_of_each_request_and_its_end() -> None:
    async with echoing(Script.of(Text("one"))) as double:
        double.watcher = log = Log()
        await ask(double, "/say", {"a": 1})
        await ask(double, "/health")
        await wait_all_tasks_blocked()
    assert log.lines == ["0 POST /say", "0 200 True", "1 GET /health", "1 200 True"]


async def test_an_exception_of_the_block_leaves_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with echoing():
            raise KeyError("mine")


@pytest.mark.parametrize("seed", range(4))
def test_a_client_that_leaves_in_the_instant_of_a_cut_leaves_nothing_behind(seed: int) -> None:
    async def run() -> None:
        async with echoing(Script.of(Text("one"), Pause(1), Cut(clean=False))) as double:
            async with open_call(double, "/say", {"a": 1}) as call:
                await call.until(b"one")
                await trio.sleep_until(1)
            await trio.sleep(1)
            assert double.facts.connections == 0

    with seeded(seed):
        trio.run(run, clock=MockClock(autojump_threshold=0))
