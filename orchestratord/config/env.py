"""Environment variables that override the file, under the names operators know.

A variable that is set and not empty wins over the file. The override is put into the data before it is checked, so a
value out of range is told the same way, with the variable's name in place of the file's. The token is not among these:
it never becomes part of the data.

Implements: OC-CONFIG-6030.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .problems import KeyPath

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_MICROBATCH_MS = 5


def _flag(text: str) -> object:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ValueError("expected true or false")


def _number(text: str) -> object:
    if text.isascii() and text.removeprefix("-").isdigit():
        return int(text)
    raise ValueError("expected a whole number")


def _text(text: str) -> object:
    return text


def _window(text: str) -> object:
    return _MICROBATCH_MS if _flag(text) else 0


@dataclass(frozen=True, slots=True)
class Override:
    """One variable: the key it sets and how its text is read."""

    variable: str
    table: str
    key: str
    read: Callable[[str], object]


OVERRIDES: tuple[Override, ...] = (
    Override("BIND_ADDR", "server", "bind", _text),
    Override("ORCHD_ADDR", "server", "bind", _text),  # after BIND_ADDR: it is the newer name and wins
    Override("AUTH_OPTIONAL", "auth", "optional", _flag),
    Override("TRUST_PROXY_AUTH", "auth", "trust_proxy", _flag),
    Override("ORCHD_SSE_CHANNEL_CAP", "stream", "channel_cap", _number),
    Override("ORCHD_SSE_MICROBATCH", "stream", "microbatch_ms", _window),
    Override("ORCHD_SSE_HEARTBEAT_MS", "stream", "heartbeat_ms", _number),
    Override("CANCEL_ON_DISCONNECT", "stream", "cancel_on_disconnect", _flag),
    Override("ORCHD_SSE_LOGS_ENABLED", "stream", "narration", _flag),
    Override("ORCHD_SSE_LOGS_PERIOD_MS", "stream", "narration_period_ms", _number),
)


@dataclass(frozen=True, slots=True)
class Overridden:
    """The data with the overrides in it; `sources` names the variable behind each key that one set."""

    data: dict[str, object]
    sources: dict[KeyPath, str]
    problems: list[Problem]


def apply_overrides(data: Mapping[str, object], environ: Mapping[str, str]) -> Overridden:
    """Put the variables that are set into a copy of `data`."""
    result = Overridden(dict(data), {}, [])
    for override in OVERRIDES:
        if environ.get(override.variable, "").strip():
            _apply(override, environ[override.variable].strip(), result)
    return result


def _apply(override: Override, text: str, result: Overridden) -> None:
    path = (override.table, override.key)
    table = result.data.get(override.table, {})
    if not isinstance(table, dict):  # the shape check will say so
        return
    try:
        value = override.read(text)
    except ValueError as error:
        result.problems.append(Problem(path, str(error), f"environment variable {override.variable}"))
        return
    if override.read is _window and value and table.get(override.key):
        return  # the file already opens a window, of its own width
    result.data[override.table] = {**table, override.key: value}
    result.sources[path] = f"environment variable {override.variable}"
