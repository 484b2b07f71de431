"""HTTP/1.1 as bytes: requests stay one request, responses are read as httpx reads them, however the bytes are cut."""

from __future__ import annotations

from dataclasses import dataclass

import httpcore
import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from http_util._failures import MalformedResponse
from http_util._wire import OVERHEAD_BYTES, ResponseParser, encode_request
from http_util.transport import TrioTransport
from tests.support.http_wire import LAST_CHUNK, chunk, cut, response, stream_head

pytestmark = pytest.mark.req("HTU-1001")


@dataclass
class Outcome:
    """What a reader knows at the end of the connection."""

    status: int
    body: bytes
    complete: bool
    reusable: bool
    failure: type[Exception] | None


def parse(pieces: list[bytes], *, method: str = "GET", end: bool = True) -> Outcome:
    """Feed pieces as a connection does: no more than the response needs, then its end."""
    parser = ResponseParser(method=method)
    body = b""
    for piece in [*pieces, *([b""] if end else [])]:
        if parser.complete or parser.failure:
            break
        parser.feed(piece)
        body += b"".join(parser.pieces)
        parser.pieces.clear()
    failure = type(parser.failure) if parser.failure else None
    return Outcome(parser.status, body, parser.complete, parser.reusable, failure)


CHUNKED = stream_head() + chunk(b"one") + chunk(b"two") + LAST_CHUNK
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "method", "outcome"),
    [
        (response(b"hello"), "GET", Outcome(200, b"hello", True, True, None)),
        (response(b""), "GET", Outcome(200, b"", True, True, None)),
        (response(b"hello", close=True), "GET", Outcome(200, b"hello", True, False, None)),
        (CHUNKED, "GET", Outcome(200, b"onetwo", True, True, None)),
        (CHUNKED[:-2] + b"Trailer: x\r\n\r\n", "GET", Outcome(200, b"onetwo", True, True, None)),
        (CHUNKED[:-1], "GET", Outcome(200, b"onetwo", False, False, httpx.RemoteProtocolError)),
        (response(b"hello")[:-1], "GET", Outcome(200, b"hell", False, False, httpx.RemoteProtocolError)),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "GET", Outcome(200, b"until the end", True, False, None)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "GET", Outcome(200, b"hi", True, False, None)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", Outcome(200, b"", True, True, None)),
        (b"HTTP/1.1 204 Empty\r\n\r\n", "GET", Outcome(204, b"", True, True, None)),
        (b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", "GET", Outcome(304, b"", True, True, None)),
        (INTERIM + b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"hi"), "GET", Outcome(200, b"hi", True, True, None)),
        (response(b"hi") + b"more", "GET", Outcome(200, b"hi", True, False, None)),
        (response(b"hi") + response(b"ho"), "GET", Outcome(200, b"hi", True, False, None)),
        (response(b"hi"), "HEAD", Outcome(200, b"", True, False, None)),
        (b"nonsense\r\n\r\n", "GET", Outcome(0, b"", False, False, MalformedResponse)),
        (stream_head() + chunk(b"one") + b"nonsense", "GET", Outcome(200, b"one", False, False, MalformedResponse)),
        (b"HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "GET",
         Outcome(101, b"", False, False, MalformedResponse)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "GET",
         Outcome(200, b"", False, False, MalformedResponse)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "GET",
         Outcome(0, b"", False, False, MalformedResponse)),
    ],
)  # fmt: skip
def test_responses(data: bytes, method: str, outcome: Outcome) -> None:
    assert parse([data], method=method) == outcome
    one_by_one = parse([bytes([byte]) for byte in data], method=method)
    # Whether something follows the response can only be seen in the read that brings its end.
    assert (one_by_one.body, one_by_one.complete) == (outcome.body, outcome.complete)
    assert one_by_one.failure is outcome.failure


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 2 * OVERHEAD_BYTES,
        b"HTTP/1.1 " + b"2" * 2 * OVERHEAD_BYTES,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (OVERHEAD_BYTES // 10),
        stream_head() + b"1;" + b"e" * 2 * OVERHEAD_BYTES,
        stream_head() + b"0\r\nTrailer: " + b"t" * 2 * OVERHEAD_BYTES,
        stream_head() + b"0" * 2 * OVERHEAD_BYTES,
    ],
    ids=["header", "status line", "interim", "chunk extension", "trailer", "chunk size"],
)
def test_what_is_not_body_is_bounded(endless: bytes) -> None:
    pieces = [endless[at : at + 4096] for at in range(0, len(endless), 4096)]

    assert parse(pieces, end=False).failure is MalformedResponse


def test_a_long_body_of_many_chunks_is_no_overhead() -> None:
    body = b"".join(chunk(b"x" * 100) for _ in range(5000))

    outcome = parse([stream_head(), *(body[at : at + 1000] for at in range(0, len(body), 1000)), LAST_CHUNK])

    assert outcome == Outcome(200, b"x" * 500_000, True, True, None)


@pytest.mark.parametrize(
    "request_",
    [
        httpx.Request("GET", "http://h/", headers={"X": "a\r\nInjected: 1"}),
        httpx.Request("GET", "http://h/", headers=[(b"X\n", b"a")]),
        httpx.Request("GET", "http://h/", headers=[(b"X", b"a\0")]),
        httpx.Request("GET / HTTP/1.1\r\nX: y", "http://h/"),
    ],
)
def test_no_part_of_a_head_makes_a_line_of_its_own(request_: httpx.Request) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        encode_request(request_, b"")


def test_a_request_on_the_wire() -> None:
    request = httpx.Request("POST", "http://h:81/a%20b?q=1", content=b"body", headers={"X": "y"})

    head, _, body = encode_request(request, b"body").partition(b"\r\n\r\n")

    assert head.split(b"\r\n") == [b"POST /a%20b?q=1 HTTP/1.1", b"Host: h:81", b"X: y", b"Content-Length: 4"]
    assert body == b"body"


class Playback(trio.abc.Stream):
    """A peer that says what it says and hangs up, whatever it is sent."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None: ...
    async def wait_send_all_might_not_block(self) -> None: ...
    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._pieces.pop(0) if self._pieces else b""

    async def aclose(self) -> None: ...


Seen = tuple[int, list[tuple[bytes, bytes]], bytes] | str


async def ask(transport: httpx.AsyncBaseTransport, method: str) -> Seen:
    """Return status, headers and body, or what kind of failure there was."""
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        try:
            answer = await client.request(method, "http://engine/", headers={"accept-encoding": "identity"})
        except httpx.ProtocolError:
            return "protocol"
        except httpx.TransportError:
            return "transport"
        return answer.status_code, answer.headers.raw, answer.content


def ours(pieces: list[bytes]) -> httpx.AsyncBaseTransport:
    async def dial(_host: str, _port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        return Playback(pieces)

    return TrioTransport(dial=dial)


def theirs(pieces: list[bytes]) -> httpx.AsyncBaseTransport:
    transport = httpx.AsyncHTTPTransport(verify=False)  # loading the authorities takes longer than the rest
    transport._pool = httpcore.AsyncConnectionPool(network_backend=httpcore.AsyncMockBackend(list(pieces)))
    return transport


HEADERS = st.lists(
    st.tuples(st.sampled_from(["X-A", "x-b", "Set-Thing"]), st.sampled_from(["", "v", "a b", " padded ", "é", '"q"'])),
    max_size=3,
).map(lambda pairs: "".join(f"{name}: {text}\r\n" for name, text in pairs).encode("latin-1"))
BODIES = st.one_of(
    st.binary(max_size=40).map(lambda body: b"Content-Length: %d\r\n\r\n%b" % (len(body), body)),
    st.lists(st.binary(min_size=1, max_size=20), max_size=4).map(
        lambda pieces: b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunk, pieces)) + LAST_CHUNK
    ),
    st.binary(max_size=40).map(lambda body: b"\r\n" + body),
)
STATUS = st.sampled_from([b"200 OK", b"204 Empty", b"304 Same", b"404 Not Found", b"503 Busy", b"299 "])
VERSION = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"])
INTERIMS = st.sampled_from([b"", b"", b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"])
RESPONSES = st.builds(
    lambda interim, version, status, headers, body: interim + version + b" " + status + b"\r\n" + headers + body,
    INTERIMS, VERSION, STATUS, HEADERS, BODIES,
)  # fmt: skip


PLACES = st.lists(st.integers(0, 300), max_size=8)
METHODS = st.sampled_from(["GET", "HEAD", "POST"])


@given(RESPONSES, METHODS, PLACES, st.integers(0, 300))
def test_httpx_reads_the_same_from_the_same_bytes(data: bytes, method: str, cuts: list[int], end: int) -> None:
    pieces = cut(data[:end], cuts)

    async def both() -> tuple[Seen, Seen]:
        return await ask(ours(pieces), method), await ask(theirs(pieces), method)

    mine, reference = trio.run(both)
    assert mine == reference
