"""Values, events, headers and bytes that no engine should send, and some that one does send.

Pure data. What is long is told by a piece and a number, so that a failing example stays readable.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bulk:
    """A piece many times over, so that what is long prints short."""

    piece: bytes
    times: int = 1

    @property
    def whole(self) -> bytes:
        """All of it."""
        return self.piece * self.times


def _bulks(*pieces: bytes) -> tuple[Bulk, ...]:
    return tuple(map(Bulk, pieces))


TELLING_VALUES = (b"-1", b'"x"', b"9" * 30)
"""The odd values that tell most, for when there is no time for all of them."""
ODD_VALUES = (
    *_bulks(
        b"null", b"true", b"false", b"0", b"-1", b"1.5", b"-0.0", b"1e999", b"-1e999", b"NaN", b"18446744073709551616"
    ),
    *_bulks(b'""', b'"x"', b'"\\u0000"', b'"\\ud800"', b'"\\u001b[2J"', b'"\xff\xfe"', b'"\xc3"', b'"\xed\xa0\x80"'),
    *_bulks(b"[]", b"{}", b"[[]]", b'{"a":1}', b"", b"}", b'"'),
    *(Bulk(b"9", 400), Bulk(b"[", 20_000), Bulk(b'{"a":', 5000), Bulk(b'"A', 70_000)),
)
ODD_PARTS = (
    *_bulks(b"\n", b"\r\n", b"\r", b"\n\n", b":\n\n", b": comment\n\n", b"data\n\n", b"data:\n\n", b"data: \n\n"),
    *_bulks(b"data: [DONE]\n\n", b"data: {}\n\n", b"data: []\n\n", b"data: null\n\n", b'data: "x"\n\n', b"data: 1\n\n"),
    *_bulks(b"data: {\n\n", b"event: error\n\n", b"event: error\ndata: {}\n\n", b'error: {"code": "x"}\n\n'),
    *_bulks(b'data: {"error": null}\n\n', b'data: {"error": "x"}\n\n', b'data: {"error": {"message": 1}}\n\n'),
    *_bulks(b"id: \0\nretry: x\ndata: a\ndata: b\n\n", b"\xef\xbb\xbf"),
    *(Bulk(b"data: x", 300_000), Bulk(b"x", 2_000_000), Bulk(b"\0", 5000), Bulk(b"\xff", 50), Bulk(b"data:\n", 20_000)),
    *(Bulk(b"data: {}\n\n", 3000), Bulk(b":\n", 20_000)),
)
_CONTENT_TYPES = (b"", b"text/html", b"application/json", b"text/event-stream;x", b"\xff", b"a" * 900)
_LENGTHS = (b"0", b"-1", b"1", b"99999999999999999999", b"x", b"10, 10")
_TRANSFERS = (b"chunked", b"gzip, chunked", b"identity", b"chunked, chunked")
_WAITS = (b"1", b"-1", b"x", b"1e400", b"9" * 40, b"nan", b"Fri, 31 Dec 9999 23:59:59 GMT")
ODD_HEADERS = (
    *((b"content-type", value) for value in _CONTENT_TYPES),
    *((b"content-encoding", value) for value in (b"gzip", b"identity", b"br, gzip", b"x")),
    *((b"content-length", value) for value in _LENGTHS),
    *((b"transfer-encoding", value) for value in _TRANSFERS),
    *((name, value) for name in (b"retry-after", b"retry-after-ms", b"x-ratelimit-reset-requests") for value in _WAITS),
    *((b"connection", value) for value in (b"close", b"keep-alive", b"upgrade")),
    *((b"location", b"http://elsewhere.test/"), (b"upgrade", b"h2c"), (b"set-cookie", b"a=b"), (b"x", b"y" * 900)),
)
STATUSES = (
    *(
        100,
        101,
        103,
        200,
        201,
        204,
        206,
        301,
        304,
        307,
        400,
        401,
        404,
        408,
        413,
        422,
        424,
        429,
        500,
        501,
        503,
        504,
        599,
    ),
)
JUNK = (
    *_bulks(b"\0", b"\n", b"\r\n", b"\r\n\r\n", b"\xff", b"0\r\n\r\n", b"ffffffff\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
    Bulk(b"x", 100_000),
)
