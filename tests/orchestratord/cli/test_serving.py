import errno
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import trio

from orchestratord.cli.serving import Running, serve_pools
from orchestratord.cli.signals import Session, interruptible
from orchestratord.cli.start import CommandFailed
from orchestratord.config import Config, config_from

HOW = "choose another address"


@pytest.fixture(autouse=True)
def _handlers_are_put_back() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def config(bind: str = "127.0.0.1:0") -> Config:
    pool = {"id": "p", "engine": "mock", "model_ref": "m", "replicas": [{}]}
    return config_from({"server": {"bind": bind}, "pools": [pool]})


@dataclass
class RunningService:
    url: str
    stop: Callable[[], None]


@dataclass
class Service:
    """A service that drains for `drain_s`, or for ever; asked a second time it ends at once."""

    drains_forever: bool = False
    stops: int = 0
    running: trio.Event = field(default_factory=trio.Event)
    _over: trio.Event = field(default_factory=trio.Event)

    async def __call__(self, config: Config, *, task_status: trio.TaskStatus[Running]) -> None:
        task_status.started(RunningService("http://x", self._stop))
        self.running.set()
        await self._over.wait()

    def _stop(self) -> None:
        self.stops += 1
        if not self.drains_forever or self.stops == 2:
            self._over.set()


async def send_signals(service: Service, *signums: signal.Signals) -> None:
    await service.running.wait()
    for signum in signums:
        signal.raise_signal(signum)
        await trio.testing.wait_all_tasks_blocked()


async def served(service: Service, *signums: signal.Signals) -> int:
    async def work(session: Session) -> int:
        session.nursery.start_soon(send_signals, service, *signums)
        return await serve_pools(config(), service, session, greet=lambda _: None, how_to_move=HOW)

    with trio.fail_after(5):
        return await interruptible(work)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_drains_and_the_exit_code_is_0(signum: signal.Signals) -> None:
    service = Service()
    assert await served(service, signum) == 0
    assert service.stops == 1


async def test_a_second_signal_ends_the_drain_at_once() -> None:
    service = Service(drains_forever=True)
    assert await served(service, signal.SIGINT, signal.SIGINT) == 130
    assert service.stops == 2


async def test_a_third_signal_cancels_a_service_that_does_not_listen() -> None:
    class Deaf(Service):
        def _stop(self) -> None:
            self.stops += 1

    assert await served(Deaf(), signal.SIGINT, signal.SIGTERM, signal.SIGINT) == 130


async def test_a_signal_before_anything_runs_cancels() -> None:
    async def work(_: Session) -> int:
        signal.raise_signal(signal.SIGINT)
        await trio.sleep_forever()
        return 0

    with trio.fail_after(5):
        assert await interruptible(work) == 130


async def test_what_runs_beside_ends_with_the_first_signal() -> None:
    service = Service(drains_forever=True)
    steps: list[str] = []

    async def beside(url: str) -> None:
        steps.append(f"beside {url}")
        try:
            await trio.sleep_forever()
        finally:
            steps.append("ended")

    async def work(session: Session) -> int:
        session.nursery.start_soon(send_signals, service, signal.SIGINT)
        with trio.move_on_after(0.1):
            await serve_pools(
                config(), service, session, greet=lambda url: steps.append(f"at {url}"), beside=beside, how_to_move=HOW
            )
        steps.append("still draining")
        return 0

    await interruptible(work)
    assert steps == ["at http://x", "beside http://x", "ended", "still draining"]


async def test_a_port_in_use_is_told_before_anything_starts() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        async def work(session: Session) -> int:
            service = Service()
            return await serve_pools(
                config(f"127.0.0.1:{port}"), service, session, greet=lambda _: None, how_to_move=HOW
            )

        told = f"port {port} on 127.0.0.1 is in use by another program. Stop it, or {HOW}"
        with pytest.raises(CommandFailed, match=told):
            await interruptible(work)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (OSError(errno.EADDRINUSE, "no"), "is in use by another program"),
        (OSError(errno.EACCES, "no"), "may not listen on port"),
        (OSError(errno.EADDRNOTAVAIL, "no"), "cannot listen on 127.0.0.1:0: no"),
        (ValueError("`a` and `b` exclude each other"), "an adapter cannot use its settings: `a` and `b` exclude"),
    ],
)
async def test_a_service_that_cannot_start_says_why(failure: Exception, told: str) -> None:
    async def serve(config: Config, *, task_status: trio.TaskStatus[Running]) -> None:  # noqa: ASYNC128 - never starts
        await trio.lowlevel.checkpoint()
        raise failure

    async def work(session: Session) -> int:
        return await serve_pools(config(), serve, session, greet=lambda _: None, how_to_move=HOW)

    with pytest.raises(CommandFailed, match=told):
        await interruptible(work)
