"""One engine's HTTP server, as an adapter speaks to it: reports, calls and event streams under the adapter's bounds.

    async with open_engine(settings, context, rules=RULES) as engine:
        version = await engine.report("/version", json_as(Version))
        async with engine.events("/generate", body, ends_at=engine.ends_at(request)) as events: ...

Every failure is a `WorkerError` whose text has passed the adapter's own secrets and then the service's. What the engine
says is nobody's here: each adapter brings its rules and parsers.

Implements: ADAPT-3002, ADAPT-3005, ADAPT-3101, HTU-1002, HTU-1005, HTU-1006, ORCH-3080.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar, final

import msgspec
import trio

from adapter_api import AdapterError, DeadlineUnmet, PoolUnavailable, WorkerError, WorkerHealth

from ._failures import NOT_THE_PROTOCOL
from .backoff import RetryPolicy
from .calls import fetch
from .client import ClientSettings, open_client
from .redaction import Redactor
from .status import EngineReply, classify
from .stream import StreamBounds, open_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    import httpx

    from adapter_api import AdapterContext, JsonValue, TaskRequest

    from .calls import Reply
    from .settings import EngineSettings
    from .status import ErrorRule
    from .stream import EventStream

T = TypeVar("T")

RETRY = RetryPolicy()
LARGEST_REPORT_BYTES = 16 * 1024 * 1024
LARGEST_ANSWER_BYTES = 256 * 1024 * 1024
"""Room for the vectors of a large request."""
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@asynccontextmanager
async def open_engine(
    settings: EngineSettings,
    context: AdapterContext,
    *,
    rules: Sequence[ErrorRule] = (),
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Engine]:
    """Yield the engine at `settings.url`; it need not be up. Leaving closes every connection and refuses new calls.

    The key is sent as a bearer token unless `headers` takes its place. Raises `ValueError` for an address that is none.
    """
    async with open_client(_client_settings(settings, context, headers)) as client:
        engine = Engine(client, settings, context, rules)
        try:
            yield engine
        finally:
            engine.close()


@final
class Engine:
    """The server that `client` is connected to; `report_s` bounds a report, in seconds, retries included."""

    def __init__(
        self, client: httpx.AsyncClient, settings: EngineSettings, context: AdapterContext, rules: Sequence[ErrorRule]
    ) -> None:
        self.context = context
        self.timeouts = settings.timeouts
        self.report_s = settings.timeouts.health_ms / 1000
        self._client = client
        self._rules = rules
        self._own_secrets = Redactor(values=[secret.reveal() for secret in settings.secrets])
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<Engine {self.context.pool_id}/{self.context.replica_id}{' closed' if self._is_closed else ''}>"

    async def report(
        self, path: str, parse: Callable[[bytes], T], *, phase: str | None = None, retry: RetryPolicy | None = RETRY
    ) -> T:
        """GET a report and parse it; raise `WorkerError`. Bounded by the time for reports, retries included."""
        phase = phase or path.strip("/")
        reply = await self._fetch("GET", path, None, phase=phase, bounds_s=self.report_s, retry=retry)
        return parsed(reply.body, parse, phase)

    async def call(
        self,
        path: str,
        body: JsonValue,
        parse: Callable[[bytes], T],
        *,
        phase: str,
        bounds_s: float | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> T:
        """POST once and parse the answer; raise `WorkerError`. The time for a first token bounds it by default."""
        bounds_s = self.timeouts.first_token_ms / 1000 if bounds_s is None else bounds_s
        reply = await self._fetch("POST", path, body, phase=phase, bounds_s=bounds_s, headers=headers)
        return parsed(reply.body, parse, phase)

    def events(
        self,
        path: str,
        body: JsonValue,
        *,
        ends_at: float | None,
        phase: str = "completion",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> AbstractAsyncContextManager[EventStream]:
        """POST and stream the events of the answer under the adapter's bounds; see `stream.open_events`."""
        return open_events(
            self.client_for(phase),
            path,
            json=body,
            bounds=self.bounds(ends_at),
            classify=self.failure,
            headers=headers,
            phase=phase,
        )

    def failure(self, reply: EngineReply) -> WorkerError:
        """Return what a refusal means, with every secret masked that the service or the adapter knows."""
        return classify(reply, rules=self._rules, redact=self.redact, now=self.context.unix_time())

    def failure_in_stream(self, body: bytes, phase: str = "completion") -> WorkerError:
        """Return what the data of an event means that reports an error."""
        return self.failure(EngineReply(200, {}, body, phase))

    def redact(self, text: str) -> str:
        """Mask the adapter's own secrets and the service's."""
        return self.context.redact(self._own_secrets.text(text))

    def client_for(self, phase: str) -> httpx.AsyncClient:
        """Return the client; raise `PoolUnavailable` once the adapter is closed."""
        if self._is_closed:
            raise PoolUnavailable(f"{phase}: the adapter is closed", retriable=False)
        return self._client

    def ends_at(self, request: TaskRequest) -> float | None:
        """Return the time on Trio's clock at which the whole request has to be over, if there is one."""
        limits_ms = [limit for limit in (self.timeouts.total_ms, request.deadline_ms) if limit is not None]
        return trio.current_time() + min(limits_ms) / 1000 if limits_ms else None

    def bounds(self, ends_at: float | None) -> StreamBounds:
        """Return the bounds of a stream that begins now and has to be over at `ends_at`."""
        return StreamBounds(
            connect_s=self.timeouts.connect_ms / 1000,
            first_token_s=self.timeouts.first_token_ms / 1000,
            idle_s=self.timeouts.idle_ms / 1000,
            total_s=None if ends_at is None else max(ends_at - trio.current_time(), 0),
        )

    def close(self) -> None:
        """Make no call any more."""
        self._is_closed = True

    async def _fetch(
        self,
        method: str,
        path: str,
        body: JsonValue,
        *,
        phase: str,
        bounds_s: float,
        retry: RetryPolicy | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Reply:
        return await fetch(
            self.client_for(phase),
            method,
            path,
            json=body,
            headers=headers,
            bounds_s=bounds_s,
            random=self.context.random,
            classify=self.failure,
            phase=phase,
            retry=retry,
            max_body_bytes=LARGEST_REPORT_BYTES if method == "GET" else LARGEST_ANSWER_BYTES,
        )


@contextmanager
def until(ends_at: float | None, phase: str) -> Iterator[None]:
    """Bound what is done before a stream, or instead of one, by the request's own time; raise `DeadlineUnmet`."""
    with trio.CancelScope() as scope:
        if ends_at is not None:
            scope.deadline = ends_at
        yield
    if scope.cancelled_caught:
        raise DeadlineUnmet(f"{phase}: not finished within the time of the request")


def correlation(request: TaskRequest) -> Mapping[str, str]:
    """Return the header that carries the correlation id to the engine, if there is one."""
    return {} if request.correlation_id is None else {"x-correlation-id": request.correlation_id}


def drawn_seed(random01: float) -> int:
    """Return a seed for a caller that gave none, so that the request can be repeated; every engine can keep it."""
    return int(random01 * 2**31)


def ill_health(failure: WorkerError, *, detail: str | None = None) -> WorkerHealth:
    """Return the report on an engine whose health call failed: it answers and is not ready, or it does not answer."""
    status = failure.upstream_status
    is_live = status is not None and status not in {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
    return WorkerHealth(live=is_live, ready=False, detail=detail or failure.message.partition(": ")[2])


def parsed(body: bytes, parse: Callable[[bytes], T], phase: str) -> T:
    """Return what `parse` makes of a body; raise `AdapterError`, without quoting the body, if it is something else."""
    try:
        return parse(body)
    except NOT_THE_PROTOCOL as wrong:
        kind = type(wrong).__name__
    raise AdapterError(f"{phase}: the answer is not the engine's protocol ({kind})")


def json_as(kind: type[T]) -> Callable[[bytes], T]:
    """Return a parser of JSON into `kind`."""
    return partial(msgspec.json.decode, type=kind)


def _client_settings(
    settings: EngineSettings, context: AdapterContext, headers: Mapping[str, str] | None
) -> ClientSettings:
    key = settings.api_key
    bearer = {} if key is None else {"authorization": f"Bearer {key.reveal()}"}
    return ClientSettings(
        base_url=settings.url,
        headers=bearer if headers is None else headers,
        connect_s=settings.timeouts.connect_ms / 1000,
        proxy=None if settings.proxy is None else settings.proxy.reveal(),
        verify=settings.verify_tls,
        dial=context.dial,
        permits=context.permits,
    )
