"""A stand-in for a llama.cpp server that sends tokens faster than anybody can relay them, or at a given pace.

One thread, one selector, one `send` per token and stream, as the real server writes. Every frame of a flood is made
before the flood begins, so a token costs little more than its system call. The prompt says how to send: `flood`, or
`every 20 ms`; the text of a paced token is the moment at which it was sent (nanoseconds of the monotonic clock, which
all processes of a machine share). It answers what the adapter asks on its way (`/health`, `/props`, `/slots`), and
nothing else.

    python -m benchmarks.engine        prints its URL, serves until its standard input ends
"""

from __future__ import annotations

import contextlib
import heapq
import random
import re
import selectors
import socket
import sys
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter, perf_counter_ns
from typing import final

import msgspec

SLOTS = 4096
PREFILL_S = 0.5
"""From a request to its first token: time for every stream to be open before the first one flows."""
ROUNDS_PER_LOOK = 16
WORDS = (" the", " quick", " brown", " fox", ' "jumps"', " over", "\n", " naïve", " 東京", ".")
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_EVERY = re.compile(r"every (\d+) ms")
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_PROPS = msgspec.json.encode({
    "build_info": "b9702-benchmark",
    "model_path": "/models/benchmark.gguf",
    "total_slots": SLOTS,
    "default_generation_settings": {"n_ctx": 10_000_000},
    "endpoint_slots": False,
    "endpoint_metrics": False,
})
_REPLIES = {b"/health": b'{"status":"ok"}', b"/props": _PROPS}


class _Order(msgspec.Struct):
    prompt: str
    n_predict: int


def _chunk(payload: dict[str, object]) -> bytes:
    event = b"data: %b\n\n" % msgspec.json.encode(payload)
    return b"%x\r\n%b\r\n" % (len(event), event)


def token_frame(number: int, text: str) -> bytes:
    """Return token `number`, counted from 1, as the server writes it."""
    return _chunk({
        "index": 0,
        "content": text,
        "tokens": [number % 32_000],
        "stop": False,
        "id_slot": -1,
        "tokens_predicted": number,
        "tokens_evaluated": 12,
    })


def final_frame(tokens: int) -> bytes:
    """Return the frame that ends a stream, and the end of the body."""
    final: dict[str, object] = {"index": 0, "content": "", "tokens": [], "id_slot": 0, "stop": True}
    counts = {"tokens_predicted": tokens, "tokens_evaluated": 12, "stop_type": "limit"}
    return _chunk({**final, **counts, "model": "/models/benchmark.gguf", "truncated": False}) + b"0\r\n\r\n"


@final
@dataclass(eq=False, slots=True)
class _Peer:
    """One connection; `sent` of its `tokens` are out, `rest` is what the socket did not take of the last send."""

    sock: socket.socket
    heard: bytearray = field(default_factory=bytearray)
    tokens: int = 0
    every_s: float = 0.0
    sent: int = 0
    rest: bytes = b""
    is_waiting: bool = False


@final
class Engine:
    """The server; `run` serves until standard input ends."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._frames: list[bytes] = []  # of a flood, in order; made once for all streams
        self._flooding: dict[_Peer, None] = {}
        self._due: list[tuple[float, int, _Peer]] = []
        self._ticket = count()
        self._random = random.Random(1)

    def run(self, stop: int) -> None:
        """Serve until the file descriptor `stop` is at its end."""
        self._selector.register(stop, selectors.EVENT_READ)
        while True:
            for key, events in self._selector.select(self._patience_s()):
                if key.fd == stop:
                    return
                if key.data is None:
                    self._accept()
                else:
                    self._attend(key.data, events)
            self._send_due(perf_counter())
            for _ in range(ROUNDS_PER_LOOK):
                for peer in tuple(self._flooding):
                    self._flood(peer)

    def _patience_s(self) -> float | None:
        if self._flooding:
            return 0
        return max(0.0, self._due[0][0] - perf_counter()) if self._due else None

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(sock, selectors.EVENT_READ, _Peer(sock))

    def _attend(self, peer: _Peer, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._selector.modify(peer.sock, selectors.EVENT_READ, peer)
            peer.is_waiting = False
            self._resume(peer)
        if events & selectors.EVENT_READ and peer.sock.fileno() >= 0:
            try:
                heard = peer.sock.recv(65_536)
            except OSError:
                heard = b""
            if not heard:
                self._drop(peer)
                return
            peer.heard += heard
            self._read(peer)

    def _read(self, peer: _Peer) -> None:
        head, blank, body = bytes(peer.heard).partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or len(body) < (size := int(length[1]) if length else 0):
            return
        peer.heard = bytearray(body[size:])
        method, path, _ = head.split(b" ", 2)
        if (method, path) == (b"POST", b"/completion"):
            self._begin(peer, msgspec.json.decode(body[:size], type=_Order))
        else:
            peer.sock.send(_reply(path))

    def _begin(self, peer: _Peer, order: _Order) -> None:
        every = _EVERY.match(order.prompt)
        peer.tokens, peer.sent = order.n_predict, 0
        peer.every_s = int(every[1]) / 1000 if every else 0.0
        if not every:
            have = len(self._frames)
            self._frames += [token_frame(n + 1, WORDS[n % len(WORDS)]) for n in range(have, peer.tokens)]
        peer.sock.send(_STREAM_HEAD)
        self._schedule(peer, perf_counter() + PREFILL_S + self._random.random() * peer.every_s)

    def _schedule(self, peer: _Peer, due: float) -> None:
        heapq.heappush(self._due, (due, next(self._ticket), peer))

    def _send_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            due, _, peer = heapq.heappop(self._due)
            if peer.sock.fileno() < 0:
                continue
            if not peer.every_s:
                self._flooding[peer] = None
            elif peer.sent == peer.tokens:
                self._finish(peer)
            else:
                peer.sent += 1
                self._send(peer, token_frame(peer.sent, str(perf_counter_ns())))
                self._schedule(peer, due + peer.every_s)

    def _flood(self, peer: _Peer) -> None:
        if peer.sent == peer.tokens:
            del self._flooding[peer]
            self._finish(peer)
            return
        peer.sent += 1
        self._send(peer, self._frames[peer.sent - 1])

    def _finish(self, peer: _Peer) -> None:
        self._send(peer, final_frame(peer.tokens))
        if not peer.rest:
            self._drop(peer)

    def _resume(self, peer: _Peer) -> None:
        rest, peer.rest = peer.rest, b""
        self._send(peer, rest)
        if peer.rest or peer.sock.fileno() < 0:
            return
        if rest.endswith(b"\r\n0\r\n\r\n"):
            self._drop(peer)
        elif not peer.every_s:
            self._flooding[peer] = None

    def _send(self, peer: _Peer, data: bytes) -> None:
        if peer.rest:  # a paced stream whose reader is behind
            peer.rest += data
            return
        try:
            sent = peer.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(peer)
            return
        if sent < len(data):
            peer.rest = data[sent:]
            self._flooding.pop(peer, None)
            if not peer.is_waiting:
                peer.is_waiting = True
                self._selector.modify(peer.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)

    def _drop(self, peer: _Peer) -> None:
        self._flooding.pop(peer, None)
        if peer.sock.fileno() >= 0:
            self._selector.unregister(peer.sock)
            peer.sock.close()


def _reply(path: bytes) -> bytes:
    body = _REPLIES.get(path.partition(b"?")[0])
    status = b"501 Not Implemented" if body is None else b"200 OK"
    body = body or b'{"error":{"code":501,"message":"not part of the benchmark","type":"not_supported_error"}}'
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def main() -> None:
    """Serve until standard input ends."""
    engine = Engine()
    print(engine.url, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        engine.run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
