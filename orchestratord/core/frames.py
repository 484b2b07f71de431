"""The wire form of each SSE frame.

A token frame is put together by hand, since it is the one that is made for every token; all others go through the
codec. JSON never contains a raw newline, so one `data:` line holds it whole.

Implements: OC-CTRL-2020, OC-CTRL-2021, OC-CTRL-2022.
"""

from collections.abc import Mapping

import msgspec

from adapter_api import JsonValue
from http_util.sse import encode

_to_json = msgspec.json.Encoder().encode


def frame(frame_id: int, event: str, data: Mapping[str, JsonValue]) -> bytes:
    """Return one frame; `frame_id` is its place in the stream, from 1."""
    return encode(event, _to_json(data), id=frame_id)


def token_frame(frame_id: int, text: str, index: int) -> bytes:
    """Return the frame of one piece of text."""
    return b'id: %d\nevent: token\ndata: {"t":%b,"i":%d}\n\n' % (frame_id, _to_json(text), index)
