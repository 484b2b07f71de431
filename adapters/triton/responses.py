"""The three shapes of a response: an event of `generate_stream`, a body of `infer`, a gRPC message.

Pure. Only the outputs that mean something here are kept, each as its first element: one sequence is asked for, in a
batch of one. A model may put bytes into a text that are no UTF-8, such as half a character, and the server passes them
on inside JSON; they are kept as bytes, for whoever joins the pieces.

Implements: OC-ADAPT-5060.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec

from http_util.figures import Count

from . import grpc_messages

T = TypeVar("T")
Scalar = str | bytes | int | float | bool | None
_NO_ERROR = frozenset({b"null", b"false", b'""', b"{}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What is known after one response; None is untold. `error` is JSON for the classification.

    `is_bare` marks one without outputs, which is how the server ends a gRPC answer.
    """

    text: str | bytes | None = field(default=None, repr=False)
    finish_reason: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    error: bytes | None = field(default=None, repr=False)
    is_bare: bool = False


class _Event(msgspec.Struct):
    text_output: str | list[str] | None = None
    finish_reason: str | list[str] | None = None
    num_input_tokens: Count | list[Count] | None = None
    num_output_tokens: Count | list[Count] | None = None
    model_name: str | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Output(msgspec.Struct):
    name: str
    data: list[str | int | float | bool | None] = []


class _Inferred(msgspec.Struct):
    outputs: list[_Output]


_parse = msgspec.json.Decoder(_Event).decode


def from_event(data: bytes) -> Response:
    """Read the data of one event; raise `ValueError` or `msgspec.MsgspecError` if it is no response."""
    try:
        return _of_event(_parse(data), data)
    except UnicodeDecodeError:
        return _of_bytes(json.loads(data.decode("utf-8", "surrogateescape")))


def _of_event(event: _Event, data: bytes) -> Response:
    if event.error is not msgspec.UNSET and bytes(event.error) not in _NO_ERROR:
        return Response(error=data.decode("utf-8", "replace").encode())
    if event.text_output is None and event.model_name is None:
        raise ValueError("neither a response nor an error")
    return Response(
        text=_first(event.text_output),
        finish_reason=_first(event.finish_reason),
        tokens_in=_first(event.num_input_tokens),
        tokens_out=_first(event.num_output_tokens),
    )


def _of_bytes(payload: object) -> Response:
    """Return the response in an event whose texts hold bytes that are no UTF-8, each as a lone surrogate."""
    if not isinstance(payload, dict):
        raise ValueError("neither a response nor an error")
    if error := payload.pop("error", None):
        return Response(error=json.dumps({"error": error}).encode())
    response = _of_event(msgspec.convert(payload, _Event), b"")
    text = response.text
    return replace(response, text=text.encode("utf-8", "surrogateescape") if isinstance(text, str) else None)


def from_inferred(data: bytes) -> Response:
    """Read the body of an answer to `infer`; raise `ValueError` or `msgspec.MsgspecError` if it is none."""
    inferred = msgspec.json.decode(data, type=_Inferred)
    return _of({output.name: output.data[0] for output in inferred.outputs if output.data})


def from_message(data: bytes) -> Response:
    """Read a gRPC message; raise `ValueError` if it is none."""
    answer = grpc_messages.answer(data)
    if answer.error:
        return Response(error=json.dumps({"error": answer.error}).encode())
    if not answer.outputs:
        return Response(is_bare=True)
    return _of({output.name: output.values[0] for output in answer.outputs if output.values})


def _of(outputs: dict[str, Scalar]) -> Response:
    text, reason = outputs.get("text_output"), outputs.get("finish_reason")
    return Response(
        text=text if isinstance(text, str | bytes) else None,
        finish_reason=reason.decode("utf-8", "replace") if isinstance(reason, bytes) else _text(reason),
        tokens_in=_count(outputs.get("num_input_tokens")),
        tokens_out=_count(outputs.get("num_output_tokens")),
    )


def _text(value: Scalar) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Scalar) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _first(value: T | list[T] | None) -> T | None:
    """Return the value of the only sequence that was asked for."""
    if isinstance(value, list):
        return value[0] if value else None
    return value
