"""One request out and its answer's head back, with every failure already a `WorkerError`.

What `calls.py` and `stream.py` share: building a request, the bounded reading of bodies, the rule against compressed
ones, closing. Deadlines are scopes of the caller; only connecting has its bound in the transport.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx
import msgspec
import trio

from adapter_api import AdapterError, InternalError, WorkerError

from ._failures import NOT_THE_PROTOCOL, worker_error
from ._sockets import CLOSE_S
from .sse import Decoder
from .status import EngineReply, error_in
from .transport import body_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .transport import Body

Classify = Callable[[EngineReply], WorkerError]
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
EVENT_STREAM = "text/event-stream"
ERROR_BODY_BYTES = 65_536
ERROR_BODY_S = 5.0
_SHOWN_TYPES = frozenset({"application/json", "application/xml", "text/html", "text/plain", "text/xml"})
"""The content types that errors quote: what else a header says may be anything, a credential too."""
_JSON_HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestParts:
    """What a request carries; `json` None means no body."""

    json: object | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    extensions: dict[str, object] = field(default_factory=dict)


def build(
    client: httpx.AsyncClient, method: str, path: str, parts: RequestParts, timeout: httpx.Timeout, phase: str
) -> httpx.Request:
    """Return a request; raise `InternalError` for what cannot be written down, without quoting it."""
    try:
        content = None if parts.json is None else msgspec.json.encode(parts.json)
        headers = {**parts.headers, **({} if content is None else _JSON_HEADERS)}
        return client.build_request(
            method, path, content=content, headers=headers, timeout=timeout, extensions=parts.extensions
        )
    except (TypeError, ValueError, msgspec.MsgspecError, httpx.InvalidURL):
        pass  # not chained: the exception holds text that a person wrote
    raise InternalError(f"{phase}: the request cannot be written down")


async def send(client: httpx.AsyncClient, request: httpx.Request, phase: str) -> httpx.Response:
    """Send and return the response with its body unread; the caller closes it. Raises `WorkerError`.

    Cancelled leaves no connection behind.
    """
    try:
        return await client.send(request, stream=True)
    except httpx.RequestError as failure:
        error = worker_error(failure, phase)
    raise error


async def receive(body: Body, phase: str) -> bytes:
    """Return the next bytes of a body, b"" at its end; raise `WorkerError`."""
    try:
        return await body.receive()
    except httpx.RequestError as failure:
        error = worker_error(failure, phase)
    raise error


async def read_to_end(body: Body, max_bytes: int, phase: str) -> bytes:
    """Return the whole body; raise `AdapterError` if it is longer than `max_bytes`, or another `WorkerError`."""
    text = bytearray()
    while piece := await receive(body, phase):
        text += piece
        if len(text) > max_bytes:
            raise AdapterError(f"{phase}: the answer is longer than {max_bytes} bytes")
    return bytes(text)


async def refusal(response: httpx.Response, body: Body, phase: str) -> EngineReply:
    """Read what comes with an error status: at most 64 KiB in at most 5 s; what is missing then stays missing."""
    text = bytearray()
    with trio.move_on_after(ERROR_BODY_S):
        try:
            while len(text) < ERROR_BODY_BYTES and (piece := await body.receive()):
                text += piece
        except httpx.RequestError:
            pass  # the status alone says enough
    return EngineReply(response.status_code, dict(response.headers), bytes(text[:ERROR_BODY_BYTES]), phase)


async def require_event_stream(response: httpx.Response, body: Body, classify: Classify, phase: str) -> None:
    """Raise the `WorkerError` that an answer other than a 200 with an uncompressed event stream means."""
    is_events = _media_type(response) == EVENT_STREAM
    if response.status_code != httpx.codes.OK:
        reply = await refusal(response, body, phase)
        raise classify(_first_event(reply) if is_events else reply)
    refuse_compressed(response, phase)
    if not is_events:
        reply = await refusal(response, body, phase)
        if _holds_error(reply.body):
            raise classify(reply)
        kind = _media_type(response)
        shown = repr(kind) if kind in _SHOWN_TYPES else "another content type"
        raise AdapterError(f"{phase}: HTTP 200 with {shown}, not an event stream")


def _media_type(response: httpx.Response) -> str:
    content_type: str = response.headers.get("content-type", EVENT_STREAM)
    return content_type.partition(";")[0].strip().lower()


def _first_event(reply: EngineReply) -> EngineReply:
    events = Decoder(max_event_bytes=2 * ERROR_BODY_BYTES).feed(reply.body + b"\n\n")
    return replace(reply, body=events[0].data) if events else reply


def _holds_error(body: bytes) -> bool:
    try:
        return error_in(msgspec.json.decode(body)) is not None
    except NOT_THE_PROTOCOL:
        return False


def refuse_compressed(response: httpx.Response, phase: str) -> None:
    """Raise `AdapterError` for a body that would have to be unpacked: none was asked for, and its size has no bound."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise AdapterError(f"{phase}: the engine sent a compressed body that was not asked for")


@asynccontextmanager
async def closing(response: httpx.Response) -> AsyncIterator[Body]:
    """Yield the body and close the response after the block, in at most a second.

    A response with an unfinished body loses its connection at once.
    """
    body = body_of(response)
    try:
        yield body
    finally:
        body.close_nowait()
        with trio.move_on_after(CLOSE_S, shield=True):
            await body.aclose()
