"""A load client that is cheap enough not to be what is measured: raw sockets, one selector, no parsing in flight.

It opens every stream, keeps what arrives and when, and looks at it only after the last byte: tokens are counted, their
numbers must have no gap, and each stream must have its end marker. The clock runs from the first token of any stream to
the last byte of all.

    python -m benchmarks.client URL JOB        prints the outcome as JSON; JOB is a `Job` as JSON

With `hold` it prints `open` once a token has come on every stream, waits for the end of its standard input and leaves.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import uuid
from bisect import bisect_left
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Literal, final
from urllib.parse import urlsplit

import httptools
import msgspec

SILENCE_S = 30.0
READ_BYTES = 262_144
_LAST_CHUNK = b"\n\r\n0\r\n\r\n"
"""Not every server closes the connection after it, though it was asked to."""
_OURS = re.compile(rb'event: token\ndata: \{"t":"(.*?)","i":(\d+)\}\n\n')
_ENGINES = re.compile(rb'"content":"([^\n]*)","tokens":[^\n]*"stop":false,[^\n]*"tokens_predicted":(\d+)[^\n]*\n\n')


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask for. `surface` says which API is called, `frames` whose frames come back."""

    surface: Literal["tasks", "completion"]
    frames: Literal["ours", "engine"]
    streams: int
    tokens: int
    every_ms: int = 0
    hold: bool = False

    @property
    def prompt(self) -> str:
        """The order to the engine."""
        return f"every {self.every_ms} ms" if self.every_ms else "flood"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came.

    `delays_us` are those of paced tokens from the engine's send to our receive, in microseconds, once a token has come
    on every stream: opening them is not what is measured.
    """

    tokens: int
    bytes: int
    reads: int
    seconds: float
    delays_us: list[float] = []
    complaints: list[str] = []


@final
@dataclass(eq=False, slots=True)
class Stream:
    """What came on one connection, and when (nanoseconds of the monotonic clock)."""

    received: list[tuple[int, bytes]] = field(default_factory=list)
    tail: bytes = b""


@final
class _Answer:
    """A response put together from what was received; `marks` are the body's length after each read, and its time."""

    def __init__(self, received: list[tuple[int, bytes]]) -> None:
        self.body = bytearray()
        self.is_complete = False
        self.lengths: list[int] = []
        self.times: list[int] = []
        parser = httptools.HttpResponseParser(self)
        for at, data in received:
            parser.feed_data(data)
            self.lengths.append(len(self.body))
            self.times.append(at)
        self.status: int = parser.get_status_code() if received else 0

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self.body += data

    def on_message_complete(self) -> None:
        """Take note of the end."""
        self.is_complete = True

    def arrival(self, offset: int) -> int:
        """Return when the body was there up to `offset`."""
        return self.times[bisect_left(self.lengths, offset)]


def open_streams(url: str, job: Job) -> list[socket.socket]:
    """Ask for every stream; nothing is read of the answers yet."""
    address = (urlsplit(url).hostname or "", urlsplit(url).port or 80)
    return [_asked(address, _request(address, job)) for _ in range(job.streams)]


def _request(address: tuple[str, int], job: Job) -> bytes:
    if job.surface == "completion":
        return _post("/completion", {"prompt": job.prompt, "n_predict": job.tokens, "stream": True})
    task_id = str(uuid.uuid4())
    order = {
        "task_id": task_id,
        "session_id": task_id,
        "workload": "completion",
        "model_ref": "default",
        "engine": "llamacpp",
        "ctx": job.tokens,
        "priority": "interactive",
        "max_tokens": job.tokens,
        "deadline_ms": 600_000,
        "prompt": job.prompt,
    }
    with _asked(address, _post("/v1/tasks", order)) as admission:
        admission.setblocking(True)
        reply = admission.recv(READ_BYTES)
    if b" 202 " not in reply.split(b"\r\n", 1)[0]:
        raise SystemExit(f"not admitted: {reply[-300:]!r}")
    return f"GET /v1/tasks/{task_id}/stream HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n".encode()


def _post(path: str, body: dict[str, object]) -> bytes:
    text = msgspec.json.encode(body)
    head = f"POST {path} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\nContent-Length: {len(text)}"
    return f"{head}\r\nConnection: close\r\n\r\n".encode() + text


def _asked(address: tuple[str, int], request: bytes) -> socket.socket:
    sock = socket.create_connection(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(request)
    sock.setblocking(False)
    return sock


def receive(sockets: list[socket.socket], *, until_open: bool = False) -> list[Stream]:
    """Read every stream to its end, or until each has a token."""
    selector = selectors.DefaultSelector()
    streams = [Stream() for _ in sockets]
    for sock, stream in zip(sockets, streams, strict=True):
        selector.register(sock, selectors.EVENT_READ, (sock.recv, stream))
    while left := len(selector.get_map()):
        ready = selector.select(SILENCE_S)
        if not ready:
            raise SystemExit(f"{left} streams were silent for {SILENCE_S:g} s")
        for key, _ in ready:
            read, stream = key.data
            data: bytes = read(READ_BYTES)
            stream.received.append((perf_counter_ns(), data))
            stream.tail = (stream.tail + data)[-len(_LAST_CHUNK) :]
            if not data or stream.tail == _LAST_CHUNK or (until_open and _has_token(data)):
                selector.unregister(key.fileobj)
    return streams


def _has_token(data: bytes) -> bool:
    return _OURS.search(data) is not None or _ENGINES.search(data) is not None


def outcome(streams: list[Stream], job: Job) -> Outcome:
    """Look at everything that came."""
    pattern, first = (_OURS, 0) if job.frames == "ours" else (_ENGINES, 1)
    complaints: list[str] = []
    sent_and_come: list[tuple[int, int]] = []
    tokens = 0
    firsts: list[int] = []
    for number, each in enumerate(streams):
        answer = _Answer([(at, data) for at, data in each.received if data])
        found = list(pattern.finditer(answer.body))
        tokens += len(found)
        if found:
            firsts.append(answer.arrival(found[0].end()))
        if [int(match[2]) for match in found] != list(range(first, first + job.tokens)):
            complaints.append(f"stream {number}: HTTP {answer.status}, {len(found)} of {job.tokens} tokens, or a gap")
        if not _has_ended(answer, job):
            complaints.append(f"stream {number}: no end marker")
        if job.every_ms:
            sent_and_come += [(int(match[1]), answer.arrival(match.end())) for match in found]
    lasts = [at for stream in streams for at, data in stream.received if data]
    return Outcome(
        tokens=tokens,
        bytes=sum(len(data) for stream in streams for _, data in stream.received),
        reads=len(lasts),
        seconds=(max(lasts) - min(firsts)) / 1e9 if firsts else 0.0,
        delays_us=[(come - sent) / 1000 for sent, come in sent_and_come if sent >= max(firsts)],
        complaints=complaints[:5],
    )


def _has_ended(answer: _Answer, job: Job) -> bool:
    if job.frames == "engine":
        return answer.is_complete and b'"stop":true' in answer.body
    last = bytes(answer.body).rstrip(b"\n").rpartition(b"\n\n")[2]
    return answer.is_complete and b"event: end\n" in last and b'"tokens_out":%d' % job.tokens in last


def main() -> None:
    """Do the job given on the command line."""
    url, job = sys.argv[1], msgspec.json.decode(sys.argv[2], type=Job)
    sockets = open_streams(url, job)
    if job.hold:
        receive(sockets, until_open=True)
        print("open", flush=True)
        sys.stdin.read()
        return
    print(msgspec.json.encode(outcome(receive(sockets), job)).decode())


if __name__ == "__main__":
    main()
