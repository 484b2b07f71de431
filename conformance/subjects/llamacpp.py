"""The shipped llama.cpp adapter as a subject, in front of the llama.cpp double, in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, final
from urllib.parse import quote, urlsplit

from adapter_api import AdapterContext, PoolId, ReplicaId, Secret, load_factory
from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaCppDouble, LlamaSettings
from conformance.subject import Rig
from conformance.wire_faults import wire_faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import trio

    from adapter_api import AdapterFactory
    from conformance.subject import Fault, Situation
    from specs import Specification

_HEALTH_S = 2.0


@final
class LlamaCppSubject:
    """The adapter that `adapter_api.load_factory("llamacpp")` finds."""

    name = "llamacpp"
    engine = "llamacpp"
    limits: Mapping[str, str] = {}

    @cached_property
    def _factory(self) -> AdapterFactory:
        return load_factory(self.engine)

    def faults(self, spec: Specification) -> Sequence[Fault]:
        """Return every row of the engine's table and of the one that all engines share."""
        return tuple(wire_faults(spec, self.engine))

    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        """Open a double and the adapter in front of it."""
        settings = LlamaSettings(
            slots=situation.slots,
            n_ctx=8192,
            api_key=situation.canaries["api_key"],
            has_embeddings=True,
            release_s=1.0,
        )
        double = LlamaCppDouble(situation.engine_tasks, settings, Link())
        double.load(*situation.scripts)
        url = urlsplit(double.url)
        async with self._factory.open(_settings(situation, double.url), _context(situation, double)) as adapter:
            yield Rig(
                adapter=adapter,
                facts=double.facts,
                engine_version=settings.model.build_info,
                stop=double.stop,
                start=double.start,
                address=url.netloc,
                connect=partial(double.dial, str(url.hostname), url.port or 0),
            )


def _context(situation: Situation, double: LlamaCppDouble) -> AdapterContext:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        if situation.dial_error is not None:
            raise OSError(situation.dial_error)
        return await double.dial(host, port)

    return AdapterContext(
        pool_id=PoolId("pool"),
        replica_id=ReplicaId("replica"),
        random=situation.random,
        dial=dial,
        redact=situation.canaries.mask,
    )


def _settings(situation: Situation, url: str) -> dict[str, object]:
    if situation.credentials_in_url:
        url = url.replace("://", f"://user:{quote(situation.canaries['url'], safe='')}@")
    bounds = {"first_token_ms": situation.first_token_s, "idle_ms": situation.idle_s, "health_ms": _HEALTH_S}
    return {
        "url": url,
        "api_key": Secret(situation.canaries["api_key"]),
        "timeouts": {name: round(1000 * seconds) for name, seconds in bounds.items() if seconds is not None},
    }
