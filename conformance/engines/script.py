"""What a double does with a request, as data: steps that mean the same for every engine.

A step names a fact ("the engine stalls here"); each double puts it into its engine's own bytes. A script is played from
its first step for each generation request. Steps before `Accept` happen before any byte is answered; a script without
`Accept` is accepted just before its first step that writes into the body. A script that ends without a last word
(`Finish`, `Fail`, `Cut`, `Reset`, `Die`, `Answer`, `Overload`, `Stall`) finishes normally. An empty script lets the
double make up its own text, as much as the request asks for.

Times are seconds on Trio's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import get_args

import msgspec


@dataclass(frozen=True, slots=True)
class Loading:
    """The engine loads its model from now on for `seconds`, and answers as it does while loading."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Accept:
    """The engine takes the request: the status line and the headers go out."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text that takes `tokens` of the model's tokens; empty text is progress without text."""

    text: str
    tokens: int = 1


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing for a while, then on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing any more, and the connection stays open."""


@dataclass(frozen=True, slots=True)
class SplitBytesAt:
    """From here on the bytes of this answer leave in pieces of these sizes, over and over; `(1,)` is byte by byte."""

    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """From here on what this answer writes leaves in one piece: when the engine pauses, stalls or has its last word.

    Over HTTP/1.1, where it is one chunk too; over gRPC each message leaves by itself.
    """


@dataclass(frozen=True, slots=True)
class CutAfter:
    """So many more bytes of this answer leave, then its connection closes; what comes after them reaches nobody."""

    size: int


@dataclass(frozen=True, slots=True)
class Ping:
    """The engine's sign of life that is not progress, such as an SSE comment."""


@dataclass(frozen=True, slots=True)
class Fail:
    """The engine reports an error in its own shape, and the answer ends.

    As an HTTP status, or inside the stream that was accepted; with `whole_batch` every request that is being worked on
    gets it, as when a batch dies.
    """

    status: int
    type: str
    message: str
    in_stream: bool = False
    whole_batch: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer that is not the engine's own shape: a proxy's page, a wrong content type."""

    status: int
    body: bytes
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Overload:
    """The engine has no room, and does what this engine does then."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The body ends with no end marker: `clean` as HTTP wants it, else the connection closes in the middle."""

    clean: bool


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset."""


@dataclass(frozen=True, slots=True)
class Die:
    """The engine's process ends: every connection is reset and none is accepted for `down_s`, then it loads."""

    down_s: float
    loading_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes put into the body as they are."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Usage:
    """The counts the engine will report, in place of those the double counts."""

    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class Finish:
    """The engine's end marker and the end of the body; `reason` is `stop`, `stop_string`, `length` or `other`."""

    reason: str = "stop"


Step = (
    Loading
    | Accept
    | Text
    | Pause
    | Stall
    | SplitBytesAt
    | Together
    | CutAfter
    | Ping
    | Fail
    | Answer
    | Overload
    | Cut
    | Reset
    | Die
    | Malformed
    | Usage
    | Finish
)

STEPS: dict[str, type[Step]] = {step.__name__: step for step in get_args(Step)}
"""Name in JSON -> step."""


@dataclass(frozen=True, slots=True)
class Script:
    """What happens to one request; `loading_s` is how long the engine loads from the moment the script is loaded."""

    steps: tuple[Step, ...] = ()
    loading_s: float = 0.0

    @classmethod
    def of(cls, *steps: Step, loading_s: float = 0.0) -> Script:
        """Return a script of these steps."""
        return cls(steps, loading_s)

    def to_json(self) -> bytes:
        """Return the script as `{"loading_s": …, "steps": [{"step": "Text", "text": "hi", …}, …]}`; bytes as base64."""
        steps = [{"step": type(step).__name__, **msgspec.to_builtins(step)} for step in self.steps]
        return msgspec.json.encode({"loading_s": self.loading_s, "steps": steps})


class _RawScript(msgspec.Struct, forbid_unknown_fields=True):
    steps: list[msgspec.Raw] = []
    loading_s: float = 0.0


def script_from_json(text: bytes | str) -> Script:
    """Read what `to_json` writes; raise `ValueError` that names the step and the field at fault.

    For people, a field that holds bytes may also be given as text: `raw_text` for `raw`, `body_text` for `body`.
    """
    raw = msgspec.json.decode(text, type=_RawScript)
    return Script(tuple(_step(number, step) for number, step in enumerate(raw.steps)), raw.loading_s)


def _step(number: int, raw: msgspec.Raw) -> Step:
    given = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    name = msgspec.json.decode(given.pop("step", b'""'), type=str)
    if name not in STEPS:
        raise ValueError(f"steps[{number}]: unknown step {name!r}; known: {', '.join(STEPS)}")
    known = {field.name: str(field.type) for field in fields(STEPS[name])}
    try:
        plain = {_plain_name(key, known): _plain(key, value, known) for key, value in given.items()}
        unknown = plain.keys() - known
        if unknown:
            raise ValueError(f"{name} has no field {min(unknown)!r}")
        return msgspec.json.decode(msgspec.json.encode(plain), type=STEPS[name])
    except msgspec.ValidationError as wrong:
        raise ValueError(f"steps[{number}]: {name}: {wrong}") from wrong
    except ValueError as wrong:
        raise ValueError(f"steps[{number}]: {wrong}") from wrong


def _plain_name(key: str, known: dict[str, str]) -> str:
    name = key.removesuffix("_text")
    return name if known.get(name) == "bytes" else key


def _plain(key: str, value: msgspec.Raw, known: dict[str, str]) -> msgspec.Raw:
    """Return a value as the step has it: text that stands for bytes becomes base64."""
    if key == _plain_name(key, known):
        return value
    return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(value, type=str).encode()))
