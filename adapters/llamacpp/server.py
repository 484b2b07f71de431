"""One llama.cpp server: short calls to it, and what is remembered of the process behind it.

Remembered are the facts that hold while one process lives: version, model, sizes. `learn` asks `/props`; `known` asks
only if there is doubt, once for all who wait. `doubt` is called after whatever a restart looks like.

Implements: ADAPT-3002, ADAPT-3003, ADAPT-3005, HTU-1002.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar, final
from urllib.parse import urlsplit

import msgspec
import trio

from adapter_api import AdapterError, PoolUnavailable, WorkerError
from http_util.backoff import RetryPolicy
from http_util.calls import fetch
from http_util.redaction import Redactor
from http_util.status import classify

from . import reports
from .digest import ModelDigest
from .errors import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from adapter_api import AdapterContext, JsonValue
    from http_util.status import EngineReply

    from .reports import EngineFacts
    from .settings import LlamaCppSettings

T = TypeVar("T")

RETRY = RetryPolicy()
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
LARGEST_REPLY_BYTES = 256 * 1024 * 1024
"""Room for the vectors of a large request; every other answer is far smaller."""


@final
class Server:
    """The server that `client` is connected to."""

    def __init__(self, client: httpx.AsyncClient, settings: LlamaCppSettings, context: AdapterContext) -> None:
        self._client = client
        self._digest = ModelDigest(settings.model_digest, may_read=is_this_machine(settings.url))
        self.report_s = settings.timeouts.health_ms / 1000
        self._context = context
        self._version = settings.engine_version
        self._own_secrets = Redactor(values=[secret.reveal() for secret in settings.secrets])
        self._is_closed = False
        self._is_doubtful = True
        self.facts: EngineFacts | None = None
        self._asking: trio.Event | None = None

    def __repr__(self) -> str:
        return f"<Server {self.facts}>"

    async def report(self, path: str, parse: Callable[[bytes], T], *, retry: RetryPolicy | None = RETRY) -> T:
        """GET a report and parse it; raise `WorkerError`. Bounded by the time for reports, retries included."""
        phase = path.strip("/")
        reply = await fetch(
            self.client_for(phase),
            "GET",
            path,
            bounds_s=self.report_s,
            random=self._context.random,
            classify=self.failure,
            phase=phase,
            retry=retry,
        )
        return parsed(reply.body, parse, phase)

    async def call(
        self,
        path: str,
        body: JsonValue,
        parse: Callable[[bytes], T],
        *,
        phase: str,
        bounds_s: float,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> T:
        """POST once and parse the answer; raise `WorkerError`."""
        reply = await fetch(
            self.client_for(phase),
            "POST",
            path,
            json=body,
            headers=headers,
            bounds_s=bounds_s,
            random=self._context.random,
            classify=self.failure,
            phase=phase,
            max_body_bytes=LARGEST_REPLY_BYTES,
        )
        return parsed(reply.body, parse, phase)

    def failure(self, reply: EngineReply) -> WorkerError:
        """Return what a refusal means, with every secret masked that the service or the adapter knows."""
        return classify(reply, rules=RULES, redact=self._redact, now=datetime.now(UTC).timestamp())

    def client_for(self, phase: str) -> httpx.AsyncClient:
        """Return the client; raise `PoolUnavailable` once the adapter is closed."""
        if self._is_closed:
            raise PoolUnavailable(f"{phase}: the adapter is closed", retriable=False)
        return self._client

    def close(self) -> None:
        """Make no call any more."""
        self._is_closed = True

    async def learn(self) -> EngineFacts:
        """Ask the server for its facts and remember them; raise `WorkerError`, and then nothing is remembered."""
        try:
            facts = await self.report("/props", reports.engine_facts)
        except WorkerError:
            self.facts = None
            raise
        if self._version is not None:
            facts = replace(facts, version=self._version)
        self.facts, self._is_doubtful = facts, False
        return facts

    async def known(self) -> EngineFacts | None:
        """Return the facts, asking if there is doubt about them; None if the server does not tell.

        Many callers at once make one call. Cancelled leaves nothing behind.
        """
        if self._is_doubtful and self._asking is not None:
            await self._asking.wait()
        elif self._is_doubtful:
            self._asking = trio.Event()
            try:
                await self.learn()
            except WorkerError:
                pass  # a server that is away says so again, and better, to the call that needs it
            finally:
                self._asking.set()
                self._asking = None
        return self.facts

    @property
    def model_digest(self) -> str | None:
        """The digest of the model of the process that is known, as far as it has been worked out."""
        return self._digest.of(None if self.facts is None else self.facts.model_path)

    async def advance_digest(self, budget_bytes: int) -> None:
        """Work on the digest of the model file, if it can be read here."""
        await self._digest.advance(None if self.facts is None else self.facts.model_path, budget_bytes)

    def doubt(self) -> None:
        """Take it that another process may answer from now on; what runs already was begun by the one that is known."""
        self._is_doubtful = True

    def _redact(self, text: str) -> str:
        return self._context.redact(self._own_secrets.text(text))


def parsed(body: bytes, parse: Callable[[bytes], T], phase: str) -> T:
    """Return what `parse` makes of a body; raise `AdapterError`, without quoting the body, if it is something else."""
    try:
        return parse(body)
    except (msgspec.MsgspecError, ValueError) as wrong:
        kind = type(wrong).__name__
    raise AdapterError(f"{phase}: the answer is not the engine's protocol ({kind})")


def json_as(kind: type[T]) -> Callable[[bytes], T]:
    """Return a parser of JSON into `kind`."""
    return partial(msgspec.json.decode, type=kind)


def is_this_machine(url: str) -> bool:
    """Whether the address is one of loopback, so that the engine's paths are ours."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
