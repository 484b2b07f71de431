"""Requests to the Triton double over HTTP, and its answers taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engines.script import (
    Finish,
    Script,
    Text,
)
from conformance.engines.triton import TritonSettings

if TYPE_CHECKING:
    from tests.conformance_engines.client import Call

STREAM = "/v2/models/ensemble/generate_stream"
ONCE = "/v2/models/ensemble/generate"
ONE_SLOT = TritonSettings(slots=1)
SAID = Script.of(Text("the"), Text("re"), Finish())


def asks(text: str = "Hi", **fields: object) -> dict[str, object]:
    return {"text_input": text, "max_tokens": 2, "stream": True, **fields}


def said(call: Call) -> list[object]:
    return [frame.get("text_output") for frame in call.answer.frames]
