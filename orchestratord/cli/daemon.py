"""A daemon as its client sees it: the few calls of the HTTP contract that the command line makes.

Every refusal becomes `Refused` with the service's own code, message and hint; every failure to talk becomes
`CommandFailed` with what to do about it. The stream has no bound on silence of its own: the task's deadline ends it.

Implements: OC-CTRL-2011, OC-CTRL-2030.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import httpx
import msgspec
import trio

from http_util.client import ClientSettings, open_client
from http_util.sse import Decoder, EventTooLarge
from http_util.transport import body_of

from .start import CommandFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from adapter_api import Secret
    from http_util.sse import ServerEvent
    from http_util.transport import Body, Dial

CONNECT_S = 5.0
CALL_S = 30.0
CLOSE_S = 1.0


class Envelope(msgspec.Struct, frozen=True):
    """An error of the service, before or in the stream."""

    code: str
    message: str
    hint: str | None = None
    retry_after_ms: int | None = None
    engine: str | None = None
    pool_id: str | None = None

    def in_words(self) -> str:
        """Everything that helps, over as many lines as it takes."""
        lines = [f"{self.code}: {self.message}"]
        if self.hint:
            lines.append(f"  {self.hint}")
        if self.retry_after_ms is not None:
            lines.append(f"  try again in {max(1, -(-self.retry_after_ms // 1000))} s")
        return "\n".join(lines)


class Refused(CommandFailed):
    """The service said no."""

    def __init__(self, envelope: Envelope) -> None:
        super().__init__(envelope.in_words())
        self.envelope = envelope


class ServedPool(msgspec.Struct, frozen=True):
    """One entry of `/v1/capabilities`, as far as it matters here."""

    engine: str
    pool_id: str = ""
    models: list[str] = []
    ctx_max: int | None = None


class _Capabilities(msgspec.Struct, frozen=True):
    engines: list[ServedPool]


@asynccontextmanager
async def open_daemon(url: str, token: Secret | None, dial: Dial | None = None) -> AsyncIterator[Daemon]:
    """Talk to the daemon at `url`; nothing is sent yet. No proxy of the environment is used."""
    headers = {} if token is None else {"authorization": f"Bearer {token.reveal()}"}
    settings = ClientSettings(base_url=url, headers=headers, connect_s=CONNECT_S, request_s=CALL_S, dial=dial)
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(open_client(settings))
        except ValueError:
            raise CommandFailed("the address of the daemon is not a URL like http://127.0.0.1:8080") from None
        yield Daemon(client)


class Daemon:
    """One daemon, spoken to. Every method raises `CommandFailed`, and `Refused` where the service said no."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def pools(self) -> list[ServedPool]:
        """What it serves."""
        with _explained(self._client.base_url):
            response = await self._client.get("/v1/capabilities")
        _check(response, {200})
        try:
            return msgspec.json.decode(response.content, type=_Capabilities).engines
        except msgspec.MsgspecError:
            raise _not_ours(response) from None

    async def enqueue(self, body: dict[str, object]) -> None:
        """Admit a task."""
        with _explained(self._client.base_url):
            _check(await self._client.post("/v1/tasks", json=body), {202})

    async def cancel(self, task_id: str) -> None:
        """Cancel a task; one that is unknown or over is no error."""
        with _explained(self._client.base_url):
            _check(await self._client.post(f"/v1/tasks/{task_id}/cancel"), {204, 404})

    @asynccontextmanager
    async def stream(self, task_id: str) -> AsyncIterator[Events]:
        """Open a task's stream. Leaving the block closes its connection."""
        request = self._client.build_request(
            "GET", f"/v1/tasks/{task_id}/stream", timeout=httpx.Timeout(CALL_S, connect=CONNECT_S, read=None)
        )
        with _explained(self._client.base_url):
            response = await self._client.send(request, stream=True)
            body = body_of(response)
            try:
                if response.status_code != 200:
                    await response.aread()
                _check(response, {200})
                yield Events(body)
            finally:
                body.close_nowait()
                with trio.move_on_after(CLOSE_S, shield=True):
                    await body.aclose()


class Events:
    """The events of a stream, step by step all that one read completed."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._decoder = Decoder()

    def __aiter__(self) -> Events:
        return self

    async def __anext__(self) -> list[ServerEvent]:
        while chunk := await self._body.receive():
            if events := self._decoder.feed(chunk):
                return events
        raise StopAsyncIteration


@contextmanager
def _explained(url: httpx.URL) -> Iterator[None]:
    """Turn every failure to talk into a sentence."""
    try:
        yield
    except httpx.ConnectError:
        hint = "Start a daemon with `orchestratord up`, or name another with --url"
        raise CommandFailed(f"no daemon answers at {_shown(url)}. {hint}") from None
    except httpx.TimeoutException:
        raise CommandFailed(f"the daemon at {_shown(url)} does not answer in time") from None
    except (httpx.HTTPError, EventTooLarge) as error:
        raise CommandFailed(f"the connection to {_shown(url)} broke: {str(error) or type(error).__name__}") from None


def _check(response: httpx.Response, good: set[int]) -> None:
    if response.status_code in good:
        return
    try:
        envelope = msgspec.json.decode(response.content, type=Envelope)
    except msgspec.MsgspecError:
        raise _not_ours(response) from None
    raise Refused(envelope)


def _not_ours(response: httpx.Response) -> CommandFailed:
    shown = _shown(response.request.url)
    return CommandFailed(
        f"{shown} answers {response.status_code}, but not as orchestratord does. Is it another service?"
    )


def _shown(url: httpx.URL) -> str:
    return str(url.copy_with(userinfo=b"")).rstrip("/")
