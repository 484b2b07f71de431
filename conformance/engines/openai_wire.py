"""What every server that speaks OpenAI's HTTP has in common: events, what a request asks for, usage, vectors.

Pure: values in, bytes out. The fields of a chunk and of an error differ from server to server and are in the engines'
own voices; nothing here is an engine's.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from . import made_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter_api import JsonValue

JSON = "application/json"
EVENTS = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
CREATED = 1_795_000_000
"""Unix time at which everything was made."""


def dump(value: JsonValue) -> bytes:
    """Return compact JSON with raw UTF-8."""
    return msgspec.json.encode(value)


def event(value: JsonValue, name: str = "") -> bytes:
    """Return one event of a stream; with a name if it has one."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + dump(value) + b"\n\n"


@dataclass(slots=True)
class Counts:
    """Tokens of one answer; `cached` are those of the prompt that were not computed again."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def usage(self) -> dict[str, JsonValue]:
        """Return the three figures that every server sends."""
        total = self.prompt + self.completion
        return {"prompt_tokens": self.prompt, "total_tokens": total, "completion_tokens": self.completion}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a completion: `given` are its own fields, `default_limit` the tokens it gets if it names none."""

    prompt: str
    tokens: tuple[int, ...]
    given: Mapping[str, JsonValue]
    default_limit: int

    @property
    def is_stream(self) -> bool:
        return bool(self.given.get("stream"))

    @property
    def limit(self) -> int:
        """How many tokens may be made."""
        named = (self.given.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
        return next((limit for limit in named if isinstance(limit, int)), self.default_limit)

    @property
    def seed(self) -> int:
        """The seed of the made-up words; greedy sampling has none of its own."""
        seed = self.given.get("seed")
        return seed if isinstance(seed, int) and self.given.get("temperature") != 0 else 0

    @property
    def stops(self) -> list[str]:
        """The stop strings."""
        return strings_of(self.given.get("stop"))

    @property
    def stop(self) -> str | None:
        """The first stop string, if there is any."""
        return next(iter(self.stops), None)

    def wants(self, option: str) -> bool:
        """Return whether `stream_options` asks for `option`."""
        options = self.given.get("stream_options")
        return isinstance(options, dict) and bool(options.get(option))


def strings_of(value: JsonValue) -> list[str]:
    """Return one string or several as a list of them."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def text_of(content: JsonValue) -> str:
    """Return a message's text; its parts that are not text are left out."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def texts_of(value: JsonValue) -> list[str]:
    """Return an `input` or `prompt` as texts: one text, several, one list of token ids, or several of those."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    if all(isinstance(item, int) for item in value):
        return [_ids(value)] if value else []
    return [item if isinstance(item, str) else _ids(item) for item in value]


def _ids(value: JsonValue) -> str:
    """Return a text that stands for a list of token ids and has as many tokens."""
    return "".join(f" {token}" for token in value) if isinstance(value, list) else ""


def embedding(values: Sequence[float], form: JsonValue) -> JsonValue:
    """Return a vector as a list, or in base64 of 32 bit floats, lowest byte first."""
    if form == "base64":
        return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
    return list(values)


def embeddings(texts: Sequence[str], form: JsonValue, size: int, *, says_format: bool = False) -> list[JsonValue]:
    """Return the `data` of an answer with embeddings; some servers say so where a vector is base64."""
    more: dict[str, JsonValue] = {"encoding_format": form} if says_format and form == "base64" else {}
    return [
        {"index": n, "object": "embedding", "embedding": embedding(made_up.vector(text, size), form), **more}
        for n, text in enumerate(texts)
    ]


def token_count(texts: Sequence[str]) -> int:
    """Return how many tokens the texts are."""
    return sum(len(made_up.tokenize(text)) for text in texts)
