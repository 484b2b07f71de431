"""Requests to the TGI double, and its answers taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tests.conformance_engines.client import Answer, ask, open_call

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from conformance.engines.tgi import TgiDouble
    from tests.conformance_engines.client import Call

JSON = {"content-type": "application/json"}
STREAM, WHOLE, CHAT = "/generate_stream", "/generate", "/v1/chat/completions"
OVERLOADED = {"error": "Model is overloaded", "error_type": "overloaded"}
BOOM = "Request failed during generation: boom"


def asks(inputs: str = "Hi", given: Mapping[str, object] | None = None, **parameters: object) -> dict[str, object]:
    return {"inputs": inputs, "parameters": {**(given or {}), **parameters}}


def chats(**fields: object) -> dict[str, object]:
    return {"model": "tgi", "messages": [{"role": "user", "content": "Hi"}], **fields}


async def post(double: TgiDouble, path: str, value: object, **headers: str) -> Answer:
    return await ask(double, path, value, headers={**JSON, **headers})


def calling(double: TgiDouble, path: str, value: object) -> AbstractAsyncContextManager[Call]:
    return open_call(double, path, value, headers=JSON)


def frames(answer: Answer) -> list[dict[str, object]]:
    """Return the frames of a stream, without `[DONE]`."""
    data = [block.removeprefix("data: ") for block in answer.body.decode().split("\n\n") if block.startswith("data: ")]
    return [msgspec.json.decode(one, type=dict[str, object]) for one in data if one != "[DONE]"]


def tokens(answer: Answer) -> list[Mapping[str, object]]:
    told = [frame["token"] for frame in frames(answer)]
    return [token for token in told if isinstance(token, dict)]
