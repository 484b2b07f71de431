"""An engine whose events are plain words, and the live streams over it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from adapter_api import (
    End,
    Failed,
    FinishReason,
    FrameOrder,
    Metrics,
    Started,
    TaskId,
    Token,
    WorkerReset,
)
from http_util.client import ClientSettings, open_client
from http_util.live import LiveStreams
from http_util.stream import StreamBounds, open_events
from tests.support.http_wire import (
    BASE,
    Engine,
    Peer,
    engine,
    event,
    plain_classify,
    stream_head,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    import httpx

    from adapter_api import TokenEvent
    from http_util.live import Progress
    from http_util.sse import ServerEvent
    from http_util.stream import EventStream

ONE = TaskId("one")
STARTED = Started(seed=7)
CANCELED = partial(End, finish_reason=FinishReason.CANCELED, canceled=True)
HEAD = stream_head()


def decode(event: ServerEvent, so_far: Progress) -> Iterable[TokenEvent]:
    """Take every word as a token; some words mean something else."""
    match event.data:
        case b"end":
            yield End(tokens_out=so_far.tokens, decode_time_ms=so_far.decode_time_ms)
        case b"fail":
            yield Token("last words", so_far.tokens)
            raise WorkerReset("completion: compute error")
        case b"failed":
            yield Failed(WorkerReset("completion: compute error"))
        case b"metrics":
            yield Metrics({"kv": 1})
        case b"json":
            msgspec.json.decode(b"{secret}")
        case b"type":
            raise ValueError("secret")
        case word:
            yield Token(word.decode(), so_far.tokens)


class Bench:
    """An engine, a client and the streams under way."""

    def __init__(self, fake: Engine, client: httpx.AsyncClient) -> None:
        self.fake = fake
        self.client = client
        self.live = LiveStreams()

    def source(self, **bounds: float) -> AbstractAsyncContextManager[EventStream]:
        return open_events(self.client, "/x", json={}, bounds=StreamBounds(**bounds), classify=plain_classify)

    def stream(self, task_id: TaskId = ONE) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        return self.live.stream(task_id, self.source(), decode, opening=(STARTED,))


@asynccontextmanager
async def bench(serve: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[Bench]:
    async with engine(serve) as fake, open_client(ClientSettings(base_url=BASE, dial=fake.dial)) as client:
        it = Bench(fake, client)
        yield it
        assert len(it.live) == 0


async def all_of(events: AsyncIterator[TokenEvent]) -> list[TokenEvent]:
    """Return what is left of a stream; its order is legal."""
    given = [event async for event in events]
    with pytest.raises(StopAsyncIteration):
        await anext(events)
    order = FrameOrder()
    for item in given if given and isinstance(given[0], Started) else [STARTED, *given]:
        if not isinstance(item, Token):
            order.accept(item)
    assert order.is_done
    return given


def events(*words: str) -> bytes:
    return b"".join(map(event, words))


def paced(*script: tuple[float, bytes]) -> Callable[[Peer], Awaitable[None]]:
    """Return an engine that sends each piece so many seconds after the one before, then stays silent."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        for seconds, piece in script:
            await trio.sleep(seconds)
            await peer.send(piece)
        await peer.wait_gone()

    return serve


async def nothing() -> list[TokenEvent]:
    await trio.lowlevel.checkpoint()
    return [STARTED, End(tokens_out=0, decode_time_ms=0)]
