"""The rules that hold for every answer and every stream, by the documents' tables and schemas. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from conformance.findings import Finding

from . import check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema import ValidationError

    from specs import Specification

    from .client import Reply
    from .sse import Frame

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_TOO_LARGE = 413
_NOT_SERVED = 405
_NO_ROOM = 429


def _is_integer(_checker: object, instance: object) -> bool:
    return type(instance) is int


_STRICT = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer)
_Validator: type[Draft202012Validator] = extend(Draft202012Validator, type_checker=_STRICT)  # type: ignore[no-untyped-call]


def faults_of(spec: Specification, boundary: str, event: str, data: object) -> list[ValidationError]:
    """Return what is wrong with a payload, as the validator says it."""
    return sorted(_Validator(spec.schema(boundary, event)).iter_errors(data), key=str)


def against_schema(spec: Specification, boundary: str, event: str, data: object) -> Iterator[str]:
    """Yield what is wrong with a payload."""
    for wrong in faults_of(spec, boundary, event, data):
        where = "".join(f"[{part!r}]" for part in wrong.absolute_path)
        yield f"{event}{where}: {wrong.message}"


@final
class ReplyJudge:
    """Judges whole answers."""

    def __init__(self, spec: Specification) -> None:
        self._spec = spec

    def judge(self, reply: Reply, sent_id: str | None, *, has_body: bool = True) -> Iterator[Finding]:
        """Yield what is wrong; `sent_id` is the correlation id of the request, None if it had none that counts."""
        yield from self._correlation(reply, sent_id)
        if reply.status >= 400 and has_body:
            yield from self._error(reply)
        if reply.status == _NO_ROOM:
            yield from self._no_room(reply, has_body=has_body)

    def _correlation(self, reply: Reply, sent_id: str | None) -> Iterator[Finding]:
        got = reply.header("x-correlation-id")
        if sent_id is not None and got != sent_id:
            yield Finding(check.CORRELATED, f"X-Correlation-Id: {sent_id}", f"{got!r} on {reply.status}")
        elif sent_id is None and not _UUID4.fullmatch(got or ""):
            yield Finding(check.CORRELATED, "X-Correlation-Id with a new UUIDv4", f"{got!r} on {reply.status}")

    def _error(self, reply: Reply) -> Iterator[Finding]:
        for wrong in against_schema(self._spec, "http", "ErrorEnvelope", reply.data):
            yield Finding(check.ENVELOPE, "an error envelope as its schema has it", f"{wrong}; the answer: {reply}")
        code = reply.code
        if not code:
            return
        row = self._spec.errors.get(code)
        if row is None:
            yield Finding(check.ENVELOPE, f"one of {', '.join(self._spec.errors)}", f"code {code!r}")
        elif row.http != reply.status and not (code == "INVALID_PARAMS" and reply.status in {_TOO_LARGE, _NOT_SERVED}):
            yield Finding(check.STATUS, f"{code} with status {row.http}", str(reply))
        if row is not None and reply.fields.get("retriable") is not row.retriable:
            told = f"retriable: {str(row.retriable).lower()} with {code}"
            yield Finding(check.RETRIABLE, told, str(reply))

    def _no_room(self, reply: Reply, *, has_body: bool) -> Iterator[Finding]:
        for name in self._spec.headers("429"):
            if not reply.header(name):
                yield Finding(check.NO_ROOM, f"the header {name} on a 429", f"none; {reply}")
        seconds = reply.header("retry-after")
        if seconds and not re.fullmatch(r"[1-9][0-9]*", seconds):
            yield Finding(check.NO_ROOM, "Retry-After in whole seconds, at least 1", seconds)
        wait = reply.header("x-backoff-ms")
        if wait and not re.fullmatch(r"[0-9]+", wait):
            yield Finding(check.NO_ROOM, "X-Backoff-Ms in milliseconds", wait)
        missing = [name for name in ("policy_label", "retriable", "retry_after_ms") if name not in reply.fields]
        if missing and has_body:
            yield Finding(check.NO_ROOM, "policy_label, retriable and retry_after_ms in a 429", f"no {missing[0]}")


@final
class StreamJudge:
    """Walks one stream through the documents; `after` is the id it was asked to go on from."""

    def __init__(self, spec: Specification, after: int = 0) -> None:
        self._spec = spec
        self._table = spec.frame_order("wire")
        self._state = self._table.initial if after == 0 else self._table.transitions[self._table.initial, "started"]
        self._next_id = after + 1
        self._next_index: int | None = 0 if after == 0 else None

    @property
    def is_over(self) -> bool:
        """Whether the terminal frame has passed."""
        return self._state in self._table.final

    def head(self, reply: Reply) -> Iterator[Finding]:
        """Judge the head of a 200."""
        for name in self._spec.headers("stream"):
            if not reply.header(name):
                yield Finding(check.STREAM_HEAD, f"the header {name}", "none")
        kind = (reply.header("content-type") or "").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            yield Finding(check.STREAM_HEAD, "Content-Type: text/event-stream", kind)
        if reply.header("content-encoding") not in {None, "identity"}:
            yield Finding(check.STREAM_HEAD, "no compression", f"Content-Encoding: {reply.header('content-encoding')}")

    def accept(self, frame: Frame) -> Iterator[Finding]:
        """Judge the next frame."""
        yield from self._form(frame)
        if frame.event not in self._table.events:
            yield Finding(check.ORDER, f"one of {', '.join(sorted(self._table.events))}", f"event {frame.event!r}")
            return
        yield from self._place(frame)
        for wrong in against_schema(self._spec, "wire", frame.event, frame.data):
            yield Finding(check.PAYLOAD, f"data as the schema of `{frame.event}` has it", wrong)
        if frame.event == "token":
            yield from self._index(frame)
        if frame.event == "error":
            yield from self._error(frame)

    def at_end(self, rest: bytes) -> Iterator[Finding]:
        """Judge the end of the body."""
        if rest.strip():
            yield Finding(check.ENDED, "whole frames", f"the body ended inside one: {rest!r}")
        if not self.is_over:
            legal = ", ".join(sorted(self._table.legal(self._state)))
            yield Finding(check.ENDED, f"a terminal frame; legal here: {legal}", "the body ended without one")

    def _form(self, frame: Frame) -> Iterator[Finding]:
        for fault in frame.faults:
            owner = check.NUMBERED if fault == "no `id:`" else check.PAYLOAD
            yield Finding(owner, "`id:`, `event:` and one line of `data:`", f"{fault} in {frame.raw!r}")
        if frame.id and not self._follows(frame):
            yield Finding(check.NUMBERED, f"id: {self._next_id}", f"id: {frame.id} on `{frame.event}`")
        self._next_id = (frame.number or self._next_id) + 1

    def _follows(self, frame: Frame) -> bool:
        """Whether the id is the next one, or that of the end after tokens that a cancel dropped."""
        if frame.number is None or frame.data.get("canceled") is not True:
            return frame.number == self._next_id
        return frame.number >= self._next_id

    def _place(self, frame: Frame) -> Iterator[Finding]:
        following = self._table.transitions.get((self._state, frame.event))
        if following is not None:
            self._state = following
            return
        legal = ", ".join(sorted(self._table.legal(self._state))) or "nothing"
        owner = check.ENDED if self.is_over else check.ORDER
        yield Finding(owner, f"legal here: {legal}", f"`{frame.event}` while the stream was {self._state}")

    def _index(self, frame: Frame) -> Iterator[Finding]:
        index = frame.data.get("i")
        if self._next_index is not None and index != self._next_index:
            yield Finding(check.INDEXED, f"i={self._next_index}", f"i={index!r}")
        self._next_index = index + 1 if isinstance(index, int) else None

    def _error(self, frame: Frame) -> Iterator[Finding]:
        code = str(frame.data.get("code"))
        row = self._spec.errors.get(code)
        if row is None or not row.in_stream:
            told = ", ".join(each.code for each in self._spec.errors.values() if each.in_stream)
            yield Finding(check.ERROR_FRAME, f"a code that a stream may carry: {told}", f"code {code!r}")
