"""JSON that nests deeper than a parser goes is not the protocol, wherever it comes."""

from __future__ import annotations

import msgspec
import pytest

from adapter_api import AdapterError, Token
from http_util._exchange import _holds_error
from http_util._live_stream import LiveStream
from http_util.engine import json_as, parsed
from http_util.sse import ServerEvent

DEEP = b'{"text": ' + b"[" * 20_000


@pytest.mark.req("ADAPT-3002", "HTU-1006")
async def test_json_without_end_in_depth_is_not_the_protocol() -> None:
    with pytest.raises(AdapterError, match=r"props: .*not the engine's protocol"):
        parsed(DEEP + b"]" * 20_000 + b"}", json_as(object), "props")
    assert not _holds_error(DEEP)
    stream = LiveStream(lambda event, _: [msgspec.json.decode(event.data, type=Token)], lambda _: ())
    stream._take([ServerEvent(DEEP)], "completion")
    with pytest.raises(AdapterError, match="a frame is not the engine's protocol"):
        await anext(stream)
