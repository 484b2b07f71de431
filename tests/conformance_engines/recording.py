"""Answers of a real engine, kept in a file beside this one, and how a double's answers are compared with them.

Texts and figures differ from model to model; what must agree is the status, the headers, the fields with their types
and, for errors, the words. Each engine has its list of requests in `recording_<engine>.py`, which is also the command
that asks the real engine again and rewrites the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec
import trio

from tests.conformance_engines.client import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from adapter_api import JsonValue
    from tests.conformance_engines.client import Answer

KEY = "key-of-the-recording"


class Ask(msgspec.Struct, frozen=True):
    """A request to one flavour of the server."""

    flavour: str
    path: str
    body: str = ""
    method: str = "POST"
    headers: dict[str, str] = {}

    @property
    def name(self) -> str:
        return f"{self.flavour} {self.method} {self.path} {self.body[:60]}".strip()


class Recorded(msgspec.Struct, frozen=True):
    """The answer to the request of that name."""

    name: str
    status: int
    headers: dict[str, str]
    body: str


def get(flavour: str, *paths: str, headers: dict[str, str] | None = None) -> list[Ask]:
    return [Ask(flavour, path, method="GET", headers=headers or {}) for path in paths]


def post(flavour: str, path: str, *bodies: str | dict[str, object], headers: dict[str, str] | None = None) -> list[Ask]:
    texts = [body if isinstance(body, str) else msgspec.json.encode(body).decode() for body in bodies]
    return [Ask(flavour, path, body, headers=headers or {}) for body in texts]


def read(file: Path, requests: Sequence[Ask]) -> list[tuple[Ask, Recorded]]:
    """Return every request with the real server's answer to it, in the order in which they were made."""
    answers = msgspec.json.decode(file.read_bytes(), type=list[Recorded])
    pairs = list(zip(requests, answers, strict=True))
    assert all(ask.name == answer.name for ask, answer in pairs), "record again: the list of requests has changed"
    return pairs


def write(file: Path, answers: Iterable[tuple[Ask, Answer]]) -> None:
    """Keep the answers, without what is this machine's or has no end."""
    kept = [_kept(ask, answer) for ask, answer in answers]
    file.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


def _kept(ask: Ask, answer: Answer) -> Recorded:
    body = re.sub(r'"/[^"]*/([^"/]*)"', r'"/models/\1"', answer.body.decode())
    body = re.sub(r'("embedding":\[+[^,\]]*,[^,\]]*)[^\]]*', r"\1", body)
    body = re.sub(r'("embedding":"[^"]{16})[^"]*', r"\1", body)
    body = re.sub(r"<__media_\w*__>", "<__media__>", body)
    return Recorded(ask.name, answer.status, {name.title(): value for name, value in answer.headers.items()}, body)


@dataclass(frozen=True, slots=True)
class Comparable:
    """What of an answer two servers must have in common."""

    status: int
    headers: dict[str, str]
    body: JsonValue


def comparable(status: int, headers: dict[str, str], body: str) -> Comparable:
    kept = {name.lower(): value for name, value in headers.items()}
    for name in kept.keys() & {"content-length", "date", "process-start-time-unix"}:
        kept[name] = "N"
    return Comparable(status, kept, _comparable_body(kept.get("content-type", ""), body))


def _comparable_body(content_type: str, body: str) -> JsonValue:
    if content_type.startswith("text/event-stream"):
        events = [_comparable_event(block) for block in body.split("\n\n") if block.strip("\n")]
        return [event for n, event in enumerate(events) if n == 0 or event != events[n - 1] or not _is_progress(event)]
    if content_type.startswith("text/plain"):
        return cast("list[JsonValue]", sorted(re.findall(r"^# TYPE .*$", body, re.MULTILINE)))
    if not body:
        return None
    value: JsonValue = msgspec.json.decode(body)
    return _with_same_words(value) if is_error(value) else shape(value)


def _comparable_event(block: str) -> JsonValue:
    head, _, data = block.rpartition("data: ")
    if data == "[DONE]":
        return data
    value: JsonValue = msgspec.json.decode(data)
    return [head, _with_same_words(value) if is_error(value) else shape(value)]


def _is_progress(event: JsonValue) -> bool:
    """Whether an event tells how much of a prompt is done: how many there are depends on the machine."""
    return "prompt_progress" in str(event)


def is_error(value: JsonValue) -> bool:
    return isinstance(value, dict) and bool(value.keys() & {"error", "detail"})


def shape(value: JsonValue) -> JsonValue:
    """Return the value's form: types for scalars, sorted fields, the fullest item of a list (a used slot says more)."""
    if isinstance(value, dict):
        return {name: _form(name, value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return max((shape(item) for item in value), key=lambda form: len(str(form)), default=None)
    return type(value).__name__


_MEANINGS = frozenset({
    "stop", "truncated", "is_processing", "endpoint_slots", "endpoint_metrics",
    "object", "finish_reason", "stop_reason", "role", "owned_by", "type",
})  # fmt: skip
"""Fields whose values say what an answer is."""


def _form(name: str, value: JsonValue) -> JsonValue:
    if name in _MEANINGS and isinstance(value, bool | str):
        return value
    return "…" if name == "chat_template_caps" else shape(value)  # follows the model's template


def _with_same_words(value: JsonValue) -> JsonValue:
    """Keep an error's words, apart from figures and from where a JSON parser lost its way."""
    text = msgspec.json.encode(value).decode()
    text = re.sub(r"column \d+: syntax error.*?(?=\",\"type\")", "column N: syntax error", text)
    text = re.sub(r"(contains |value=)\d+( characters|\))", r"\1N\2", text)
    return re.sub(r"(request \(|input \(|n_prompt_tokens\":)\d+", r"\1N", text)


async def call(stream: trio.abc.Stream, ask: Ask) -> Answer:
    """Make the request on a fresh connection; closes it."""
    async with stream:
        request = Call(stream)
        await request.send(ask.method, ask.path, ask.body.encode(), ask.headers)
        return await request.finish()


async def call_all(url: str, requests: Sequence[Ask], flavour: str) -> list[tuple[Ask, Answer]]:
    """Make every request of this flavour, one after the other."""
    port = int(url.rsplit(":", 1)[1])
    mine = [ask for ask in requests if ask.flavour == flavour]
    return [(ask, await call(await trio.open_tcp_stream("127.0.0.1", port), ask)) for ask in mine]
