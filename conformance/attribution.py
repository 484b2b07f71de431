"""Whose fault an exception is: the kit's own, or that of what is put to the test. Pure but for the names of folders.

The kit calls an adapter, and the adapter calls back into the kit's doubles. So what counts is what lies behind the last
line of the kit on the way to the exception: Python's own code and the few libraries that the kit calls itself are
nobody's, everything else is the adapter's or its subject's.
"""

from __future__ import annotations

import re
import sysconfig
import traceback
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING

from adapter_api import WorkerError

from .findings import Finding
from .portable import portable

if TYPE_CHECKING:
    from collections.abc import Collection

_KIT = Path(__file__).resolve().parent
_PYTHON = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})
_LIBRARIES = frozenset({"trio", "outcome", "jsonschema", "referencing", "h11", "h2", "hpack", "httptools", "google"})
_NO_EVENT = re.compile(r"an object with __aiter__ method|has no attribute '(kind|data)'")
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_MIXED_UP = "Cancel scope stack corrupted"
_SCOPES = (
    "Trio found a cancel scope or a nursery that was left in the wrong order: in an asynchronous generator, no `with` "
    "block of either may have a `yield` in it"
)


def finding_of(error: BaseException, play: object = None) -> Finding | None:
    """Return what an exception that ended a case says against the adapter; None if it is a fault of the kit.

    `play` is what was played: it is the kit's, wherever it stands.
    """
    if isinstance(error, WorkerError):
        return _failed(error)
    if isinstance(error, TypeError | AttributeError) and _NO_EVENT.search(str(error)):
        return Finding("FRM-15", "a stream, and events of the contract in it", f"what came has no such form: {error}")
    if _MIXED_UP not in str(error) and place_of(error, _files(play)) is None:
        return None
    return Finding("ERR-05", "WorkerError or Cancelled and nothing else", f"{told_of(error)}, outside every call")


def _failed(error: WorkerError) -> Finding:
    """Return what it means that a call failed which the case needs, and whose failure it does not look at."""
    if any(each.name == "_asked" for each in traceback.extract_tb(error.__traceback__)):
        return Finding("HPC-02", "an answer, the engine being there", f"a report raised {error!r}")
    return Finding("FRM-07", "the engine's answer", f"the stream failed: {error!r}")


def told_of(error: BaseException) -> str:
    """Return what escaped and where it was raised, as far as its traceback is still there."""
    if _MIXED_UP in str(error):
        return f"RuntimeError: {_SCOPES}; it escaped"
    place = place_of(error)
    return f"{error!r} escaped{f', raised at {place}' if place else ''}"


def place_of(error: BaseException, own: Collection[str] = ()) -> str | None:
    """Return "file:line in function" of the line of the adapter or subject that raised; None if none of them did.

    Where an adapter called its subject, or one file of it another, both lines are there; lines of libraries only where
    there is nothing else. `own` are files that are the kit's as well.
    """
    ways = traceback.extract_tb(error.__traceback__)
    last = max((number for number, each in enumerate(ways) if each.filename in own or _is_kit(each)), default=-1)
    foreign = [each for each in ways[last + 1 :] if not _is_nobodys(Path(each.filename))]
    told = [each for each in foreign if not _is_installed(Path(each.filename))] or foreign[-1:]
    by_file = {each.filename: each for each in told}  # the innermost line of each
    places = [f"{portable(_short(each.filename))}:{each.lineno} in {each.name}" for each in by_file.values()]
    return ", from there ".join(places[-2:]) or None


def _files(play: object) -> set[str]:
    """Return the files of the functions that a play is made of."""
    if isinstance(play, partial):
        return {file for part in (play.func, *play.args) for file in _files(part)}
    return {play.__code__.co_filename} if isinstance(play, FunctionType) else set()


def _is_kit(way: traceback.FrameSummary) -> bool:
    """Tell whether a line is the kit's; the broken adapters that it keeps are adapters all the same."""
    path = Path(way.filename)
    return path.is_relative_to(_KIT) and not path.is_relative_to(_KIT / "zoo")


def _is_installed(path: Path) -> bool:
    return not _INSTALLED.isdisjoint(path.parts)


def _is_nobodys(path: Path) -> bool:
    parts = path.parts
    for folder in _INSTALLED.intersection(parts):
        return parts[parts.index(folder) + 1] in _LIBRARIES
    return not path.is_absolute() or any(path.is_relative_to(folder) for folder in _PYTHON)


def _short(name: str) -> str:
    here = Path.cwd()
    return str(Path(name).relative_to(here)) if Path(name).is_relative_to(here) else name
