"""The real byte streams of an engine double: what it answers to each call that its adapter makes.

The adapter is put in front of the double with a tap on its connections; every exchange becomes a `Reply`, kept by
method and path. What the adapter makes of the answers does not matter here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import h11
import trio
from trio.testing import MockClock

from .mutations import names_in
from .targets import REPORTS, context_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adapter_api import TaskRequest, WorkerAdapter

    from .targets import Target

Key = tuple[str, str]
"""Method and path, without the query."""
HTTP2 = b"PRI * HTTP/2"
HTTP2_CALL = ("HTTP/2", "")
"""The key of whatever is asked on an HTTP/2 connection."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, out of its framing: a stream's body comes in `parts` of one event each, others in one.

    `asked` is the body of the request that it answers. The answer on an HTTP/2 connection has the status 0; its parts
    are all frames of the server.
    """

    asked: bytes = field(repr=False)
    status: int
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    parts: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recording:
    """Every answer that a double gave, in their order, and which calls the adapter makes for what it is asked.

    `names` are those fields in the answers to a call that the adapter's sources speak of, as they stand: `"name":`.
    """

    replies: Mapping[Key, Sequence[Reply]]
    calls: Mapping[str, Sequence[Key]]
    names: Mapping[Key, Sequence[bytes]]


def record(target: Target) -> Recording:
    """Ask a fresh adapter for each thing, and write down what goes over the wire."""
    replies: dict[Key, list[Reply]] = defaultdict(list)
    calls: dict[str, list[Key]] = {}
    for asked in (REPORTS, *target.tasks):
        wires: list[_Wire] = []
        trio.run(_record, target, asked, wires, clock=MockClock(autojump_threshold=0))
        exchanges = [exchange for wire in wires for exchange in wire.exchanges()]
        calls[asked] = list(dict.fromkeys(key for key, _ in exchanges))
        for key, reply in exchanges:
            replies[key].append(reply)
    words = target.words()
    return Recording(replies, calls, {key: _names(answers, words) for key, answers in replies.items()})


def _names(answers: Sequence[Reply], words: frozenset[str]) -> list[bytes]:
    found = {name for answer in answers for part in answer.parts for name in names_in(part)}
    return sorted(name for name in found if name[1:-2].decode() in words)


async def _record(target: Target, asked: str, wires: list[_Wire]) -> None:
    async with target.open_double() as double:

        async def dial(host: str, port: int) -> trio.abc.Stream:
            wires.append(_Wire())
            return _Tap(await double.dial(host, port), wires[-1])

        async with target.open_adapter(double.url, context_with(dial)) as adapter:
            await _ask(adapter, target.tasks.get(asked))


async def _ask(adapter: WorkerAdapter, task: TaskRequest | None) -> None:
    """Ask for a piece of work, or for all reports."""
    if task is None:
        await adapter.health()
        await adapter.props()
        await adapter.capabilities()
        return
    async with adapter.submit(task) as events:
        async for _ in events:
            pass


@final
class _Wire:
    """What went over one connection: turns of bytes, ours and theirs."""

    def __init__(self) -> None:
        self._turns: list[tuple[bool, bytearray]] = []

    def note(self, data: bytes, *, is_ours: bool) -> None:
        if not self._turns or self._turns[-1][0] is not is_ours:
            self._turns.append((is_ours, bytearray()))
        self._turns[-1][1].extend(data)

    def exchanges(self) -> list[tuple[Key, Reply]]:
        if self._turns[0][1].startswith(HTTP2):
            frames = _frames(b"".join(data for is_ours, data in self._turns if not is_ours))
            return [(HTTP2_CALL, Reply(b"", 0, (), tuple(frames)))]
        ours = [bytes(data) for is_ours, data in self._turns if is_ours]
        theirs = [bytes(data) for is_ours, data in self._turns if not is_ours]
        return [_exchange(asked, answered) for asked, answered in zip(ours, theirs, strict=False) if answered]


def _frames(wire: bytes) -> Iterator[bytes]:
    while wire:
        size = 9 + int.from_bytes(wire[:3], "big")
        yield wire[:size]
        wire = wire[size:]


def _exchange(asked: bytes, answered: bytes) -> tuple[Key, Reply]:
    method, target, _ = asked.split(b" ", 2)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target=target, headers=[("host", "engine")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answered)
    client.receive_data(b"")
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    framing = {b"content-length", b"transfer-encoding"}
    headers = tuple((name, value) for name, value in head.headers if name not in framing)
    path = target.partition(b"?")[0].decode()
    body_asked = asked.partition(b"\r\n\r\n")[2]
    return (method.decode(), path), Reply(body_asked, head.status_code, headers, _parts(body, dict(headers)))


def _parts(body: bytes, headers: Mapping[bytes, bytes]) -> tuple[bytes, ...]:
    if headers.get(b"content-type", b"").startswith(b"text/event-stream"):
        return tuple(part for part in re.split(rb"(?<=\n\n)", body) if part)
    return (body,)


@final
class _Tap(trio.abc.Stream):
    def __init__(self, stream: trio.abc.Stream, wire: _Wire) -> None:
        self._stream = stream
        self._wire = wire

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._wire.note(bytes(data), is_ours=True)
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        data = bytes(await self._stream.receive_some(max_bytes))
        self._wire.note(data, is_ours=False)
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()
