"""A subject whose engine is a real one that runs already: the adapter as a black box, in real time.

Nothing can be induced in such an engine, so only what holds for an engine that does as it likes is tried. The kit sees
the adapter's connections, and nothing of what the engine thinks of it.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, cast, final
from urllib.parse import urlsplit

import trio

from adapter_api import AdapterContext, AdapterNotFound, PoolId, ReplicaId, Secret, WorkerError, load_factory

from .findings import NotApplicable
from .loading import NoSubject, find_object, unknown
from .subject import SCRIPTS, SECRETS, Rig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from adapter_api import AdapterFactory, WorkerAdapter
    from specs import Specification

    from .subject import Fault, Situation

WHY_NOT = "a running engine does as it likes, and this needs one that does as it is told"
_OWN_KEY = "the key is the engine's own, and the kit looks for its own only"
_READY_S = 15.0


@final
class NotReady(ValueError):
    """The engine cannot be tried; the text says what its adapter reports."""


@final
@dataclass(frozen=True, kw_only=True)
class RunningEngine:
    """The adapter that `factory` opens with `settings`, the engine's `url` among them."""

    name: str
    factory: AdapterFactory
    settings: Mapping[str, object]

    @property
    def limits(self) -> Mapping[str, str]:
        """What cannot be had: an engine that does as it is told, and a key to look for where it has one of its own."""
        return {SCRIPTS: WHY_NOT} | ({SECRETS: _OWN_KEY} if "api_key" in self.settings else {})

    @property
    def engine(self) -> str:
        """The engine of the adapter."""
        return self.factory.engine

    def faults(self, spec: Specification) -> Sequence[Fault]:
        """Return none: it fails when it likes."""
        return ()

    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        """Open the adapter on the engine; its connections are real."""
        network = _Network()
        context = _context(situation.random, situation.canaries.mask, network)
        settings = {"api_key": Secret(situation.canaries["api_key"]), **self.settings}
        async with self.factory.open(settings, context) as adapter:
            yield Rig(
                adapter=adapter,
                facts=network,
                engine_version=await _version(adapter),
                stop=_cannot,
                start=_cannot,
                address=urlsplit(str(self.settings["url"])).netloc.rpartition("@")[2],
            )

    def expect_ready(self) -> None:
        """Raise `NotReady` unless the engine can take work: against one that cannot, nearly everything holds."""
        trio.run(self._expect_ready)

    async def _expect_ready(self) -> None:
        context = _context(Random(0).random, lambda text: text, _Network())
        try:
            with trio.fail_after(_READY_S):
                async with self.factory.open(self.settings, context) as adapter:
                    health = await adapter.health()
        except Exception as error:
            raise NotReady(f"the adapter cannot be opened: {error}") from error
        if not health.ready:
            raise NotReady(f"the engine is not ready: {health.detail or 'its adapter gives no reason'}")


def running_engine(adapter: str, settings: Mapping[str, object]) -> RunningEngine:
    """Return the adapter, named as an engine or as MODULE:NAME of its factory; raise `NoSubject`."""
    told = [f"--engine-url {_without_password(str(settings['url']))}"]
    told += [f"--setting {name}={value}" for name, value in settings.items() if name not in {"url", "api_key"}]
    factory = _factory(adapter)
    return RunningEngine(name=" ".join((adapter, *told)), factory=factory, settings=_read(factory, settings))


def _read(factory: AdapterFactory, settings: Mapping[str, object]) -> Mapping[str, object]:
    """Return the settings with the types that the adapter's schema has for them.

    Raises `NoSubject` for an address without a scheme, and for a setting that the adapter does not have.
    """
    known = cast("Mapping[str, object]", factory.settings_schema.get("properties", {}))
    if "url" not in known:
        raise NoSubject(f"the adapter of {factory.engine} takes no address: it has no running engine to be tried on")
    if "://" not in str(settings["url"]):
        raise NoSubject(f"--engine-url is an address with its scheme, as in http://{settings['url']}")
    for name in settings:
        if name not in known:
            raise NoSubject(f"--setting: {unknown('setting', name, known)}")
    return {name: _typed(value, known[name]) for name, value in settings.items()}


def _typed(value: object, rule: object) -> object:
    """Return what was typed as what it says in JSON, unless the rule of the setting has it for a text."""
    kinds = json.dumps(rule)
    is_choice = value in {"true", "false"} and '"boolean"' in kinds
    if not isinstance(value, str) or ('"string"' in kinds and not is_choice):
        return value
    try:
        return cast("object", json.loads(value))
    except ValueError:
        return value  # the adapter will say what is wrong with it


def _factory(name: str) -> AdapterFactory:
    if ":" not in name:
        try:
            return load_factory(name)
        except AdapterNotFound as error:
            raise NoSubject(str(error)) from error
    found = find_object(name)
    missing = [member for member in ("engine", "open") if not hasattr(found, member)]
    if isinstance(found, type) or missing or hasattr(found, "faults"):
        raise NoSubject(f"{name} is no adapter's factory; with --engine-url, name what the entry point names")
    return cast("AdapterFactory", found)


@final
class _Network:
    """Real connections, counted; what the engine makes of them cannot be seen."""

    live = 0
    submitted = 0

    def __init__(self) -> None:
        self._streams: list[trio.SocketStream] = []

    @property
    def connections(self) -> int:
        return sum(stream.socket.fileno() >= 0 for stream in self._streams)

    async def dial(self, host: str, port: int) -> trio.SocketStream:
        stream = await trio.open_tcp_stream(host, port)
        self._streams.append(stream)
        return stream


def _context(random: Callable[[], float], redact: Callable[[str], str], network: _Network) -> AdapterContext:
    return AdapterContext(
        pool_id=PoolId("pool"), replica_id=ReplicaId("replica"), random=random, dial=network.dial, redact=redact
    )


async def _version(adapter: WorkerAdapter) -> str:
    try:
        return await adapter.engine_version()
    except WorkerError:
        return ""  # what comes next tells the same, to a check that judges it


def _cannot() -> None:
    raise NotApplicable(WHY_NOT)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
