"""An engine's settings as flags of the command line: each plain field is one, those of a part with the part's name.

`slots: int = 2` becomes `--slots N`, `has_metrics: bool = True` becomes `--no-has-metrics`, `model: Model` with a
`path` becomes `--model-path TEXT`. A field of any other kind is left as it is.
"""

from __future__ import annotations

import argparse
import ast
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SettingsT = TypeVar("SettingsT")
_PREFIX = "setting."
_LITERAL = "Literal["


@dataclass(frozen=True, slots=True)
class Flag:
    """A field that can be set: the names on the way to it, its annotation and its default."""

    path: tuple[str, ...]
    kind: str
    default: object

    @property
    def option(self) -> str:
        return "--" + "-".join(self.path).replace("_", "-")

    @property
    def dest(self) -> str:
        return _PREFIX + ".".join(self.path)


def flags_of(settings: object, *path: str) -> Iterator[Flag]:
    """Yield the flags for the fields of a dataclass and of its parts."""
    if not is_dataclass(settings):
        raise TypeError(f"{settings!r} is no dataclass")
    for field in fields(settings):
        value: object = getattr(settings, field.name)
        kind = str(field.type)
        if is_dataclass(value) and not isinstance(value, type):
            yield from flags_of(value, *path, field.name)
        elif kind.removesuffix(" | None") in _READ or kind.startswith(_LITERAL):
            yield Flag((*path, field.name), kind, value)


def add_flags(parser: argparse.ArgumentParser, settings: object) -> None:
    """Add a group of flags; what is not given keeps its default."""
    group = parser.add_argument_group("how the engine is started")
    for flag in flags_of(settings):
        if flag.kind == "bool":
            option = flag.option.replace("--", "--no-", 1) if flag.default else flag.option
            group.add_argument(
                option, dest=flag.dest, action="store_const", const=not flag.default, help=_shown(flag.default)
            )
            continue
        choices = _choices(flag.kind)
        group.add_argument(
            flag.option,
            dest=flag.dest,
            type=_reader(flag.kind),
            choices=choices or None,
            metavar=None if choices else _METAVARS[flag.kind.removesuffix(" | None")],
            help=_shown(flag.default),
        )


def with_flags(settings: SettingsT, given: argparse.Namespace) -> SettingsT:
    """Return the settings with what was given on the command line."""
    for dest, value in vars(given).items():
        if dest.startswith(_PREFIX) and value is not None:
            settings = _changed(settings, dest.removeprefix(_PREFIX).split("."), value)
    return settings


def _changed(settings: SettingsT, path: list[str], value: object) -> SettingsT:
    name, *rest = path
    part = _changed(getattr(settings, name), rest, value) if rest else _given(value)
    return replace(settings, **{name: part})  # type: ignore[type-var] # dataclasses all the way down


class _Nothing:
    """`none` on the command line; None itself means that a flag was not given."""


def _given(value: object) -> object:
    return None if isinstance(value, _Nothing) else value


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return "on unless given" if default else "off unless given"
    if default is None:
        return "default none"
    is_blank = isinstance(default, str) and not default.strip()
    shown = repr(default) if is_blank else str(default)
    return f"default {shown}".replace("%", "%%")


def _choices(kind: str) -> list[str]:
    if not kind.startswith(_LITERAL):
        return []
    return [str(word) for word in ast.literal_eval("(" + kind.removeprefix(_LITERAL).removesuffix("]") + ",)")]


def _reader(kind: str) -> Callable[[str], object]:
    """Return what reads the text of a flag; a field that may be None takes `none`."""
    read = _READ.get(kind.removesuffix(" | None"), str)

    def read_or_nothing(text: str) -> object:
        return _Nothing() if text == "none" else read(text)

    return read_or_nothing if kind.endswith(" | None") else read


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 up")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return number


_READ: dict[str, Callable[[str], object]] = {"int": _whole, "float": _number, "str": str, "bool": bool}
_METAVARS = {"int": "N", "float": "X", "str": "TEXT"}
