"""A subject whose engine is a double that speaks HTTP: the adapter in front of it, in memory.

An engine adds how its double is set up and what its adapter needs told; the rest is the same for all.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol, final
from urllib.parse import quote, urlsplit

import trio

from adapter_api import AdapterContext, PoolId, ReplicaId, Secret, load_factory
from conformance.canary import SECRETS, written
from conformance.engines.silent import FallsSilent
from conformance.subject import Rig
from conformance.times import unix_time
from conformance.wire_faults import wire_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from adapter_api import AdapterFactory
    from conformance.engines.double import EngineDouble
    from conformance.subject import Fault, Situation
    from specs import Specification

_HEALTH_S = 2.0


@final
@dataclass(kw_only=True)
class HttpSubject:
    """The adapter that `factory` opens, or `adapter_api.load_factory(engine)`, in front of the double of `build`.

    `build` gives the double its nursery (`situation.engine_tasks`), slots and API key (`situation.canaries["api_key"]`)
    and plays no script yet. `settings` are told to the adapter beyond url, api_key and timeouts. `engine_version` is
    what the adapter has to report.
    """

    engine: str
    build: Callable[[Situation], EngineDouble]
    engine_version: str
    settings: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    factory: AdapterFactory | None = None
    rows: Callable[[Specification], Iterable[Fault]] | None = None
    upgrade: Callable[[EngineDouble], str] | None = None

    def __post_init__(self) -> None:
        self.name = self.name or self.engine

    @cached_property
    def _factory(self) -> AdapterFactory:
        return self.factory or load_factory(self.engine)

    def faults(self, spec: Specification) -> Sequence[Fault]:
        """Return every row of the engine's table and of the one that all share, or what `rows` makes of them."""
        return tuple(wire_faults(spec, self.engine) if self.rows is None else self.rows(spec))

    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        """Open a double and the adapter in front of it."""
        double = self.build(situation)
        double.load(*situation.scripts)
        url = urlsplit(double.url)
        settings = {**settings_for(situation, double.url), **self.settings}
        context = context_for(situation, double.dial)
        async with self._factory.open(settings, context) as adapter:
            yield Rig(
                adapter=adapter,
                facts=double.facts,
                engine_version=self.engine_version,
                stop=double.stop,
                start=double.start,
                address=url.netloc,
                connect=partial(dial_for(situation, double.dial), str(url.hostname), url.port or 0),
                forget=partial(_forget, double),
                upgrade=None if self.upgrade is None else partial(self.upgrade, double),
            )


class Dial(Protocol):
    """How a connection to the engine is opened."""

    async def __call__(self, host: str, port: int) -> trio.abc.Stream: ...


def context_for(situation: Situation, connect: Dial) -> AdapterContext:
    """Return what the adapter is given; it dials as the situation says."""
    return AdapterContext(
        pool_id=PoolId("pool"),
        replica_id=ReplicaId("replica"),
        random=situation.random,
        dial=dial_for(situation, connect),
        redact=partial(_masked, written([situation.canaries[place] for place in SECRETS])),
        unix_time=unix_time,
    )


def dial_for(situation: Situation, connect: Dial) -> Dial:
    """Return a way to dial through `connect` that fails, takes its time or falls silent as the situation says."""

    async def dial(host: str, port: int) -> trio.abc.Stream:
        if situation.dial_s:
            await trio.sleep(situation.dial_s)
        if situation.dial_error is not None:
            raise OSError(situation.dial_error)
        stream = await connect(host, port)
        return stream if situation.silent_after is None else FallsSilent(stream, situation.silent_after)

    return dial


def _forget(double: EngineDouble) -> None:
    double.facts.requests.clear()
    double.facts.gone.clear()
    if double.facts.received is not None:
        double.facts.received.clear()


def _masked(forms: Sequence[str], text: str) -> str:
    """Mask credentials as the service does: whole ones. What is cut first and masked then is no credential to it."""
    for form in forms:
        text = text.replace(form, "***")
    return text


def settings_for(situation: Situation, url: str) -> dict[str, object]:
    """Return url, API key and time bounds, as every HTTP adapter takes them."""
    if situation.credentials_in_url:
        url = url.replace("://", f"://user:{quote(situation.canaries['url'], safe='')}@")
    if situation.key_in_query:
        url = f"{url}/?api_key={quote(situation.canaries['url'], safe='')}"
    bounds = {"first_token_ms": situation.first_token_s, "idle_ms": situation.idle_s, "health_ms": _HEALTH_S}
    return {
        "url": url,
        "api_key": Secret(situation.canaries["api_key"]),
        "timeouts": {name: round(1000 * seconds) for name, seconds in bounds.items() if seconds is not None},
    }
