"""Whose fault an exception is: the kit's own, or that of what is put to the test. Pure but for the names of folders.

The kit calls an adapter, and the adapter calls back into the kit's doubles. So what counts is what lies behind the last
line of the kit on the way to the exception: Python's own code and the few libraries that the kit calls itself are
nobody's, everything else is the adapter's or its subject's.
"""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from adapter_api import WorkerError

from .findings import Finding
from .portable import portable

if TYPE_CHECKING:
    from collections.abc import Sequence

_KIT = Path(__file__).resolve().parent
_PYTHON = tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})
_LIBRARIES = frozenset({"trio", "outcome", "jsonschema", "referencing", "h11", "h2", "hpack", "httptools", "google"})
_MIXED_UP = "Cancel scope stack corrupted"
_SCOPES = (
    "Trio found a cancel scope or a nursery that was left in the wrong order: in an asynchronous generator, no `with` "
    "block of either may have a `yield` in it"
)


def finding_of(error: BaseException) -> Finding | None:
    """Return what an exception that ended a case says against the adapter; None if it is a fault of the kit."""
    if isinstance(error, WorkerError):
        return Finding("HPC-02", "an answer, the engine being there", f"a report raised {error!r}")
    if _MIXED_UP in str(error):
        return Finding("ERR-05", "WorkerError or Cancelled and nothing else", _SCOPES)
    place = place_of(error)
    if place is None:
        return None
    told = f"{type(error).__name__}({str(error)!r}) at {place}, outside every call of the kit"
    return Finding("ERR-05", "WorkerError or Cancelled and nothing else", told)


def place_of(error: BaseException) -> str | None:
    """Return "file:line in function" of the line of the adapter or subject that raised; None if none of them did."""
    ways = traceback.extract_tb(error.__traceback__)
    foreign = [each for each in _behind_the_kit(ways) if not _is_nobodys(Path(each.filename))]
    if not foreign:
        return None
    last = foreign[-1]
    return f"{portable(_short(last.filename))}:{last.lineno} in {last.name}"


def _behind_the_kit(ways: Sequence[traceback.FrameSummary]) -> Sequence[traceback.FrameSummary]:
    last = max((number for number, each in enumerate(ways) if _is_kit(Path(each.filename))), default=-1)
    return ways[last + 1 :]


def _is_kit(path: Path) -> bool:
    """Tell whether a file is the kit's; the broken adapters that it keeps are adapters all the same."""
    return path.is_relative_to(_KIT) and not path.is_relative_to(_KIT / "zoo")


def _is_nobodys(path: Path) -> bool:
    parts = path.parts
    for folder in ("site-packages", "dist-packages"):
        if folder in parts:
            return parts[parts.index(folder) + 1] in _LIBRARIES
    return not path.is_absolute() or any(path.is_relative_to(folder) for folder in _PYTHON)


def _short(name: str) -> str:
    here = Path.cwd()
    return str(Path(name).relative_to(here)) if Path(name).is_relative_to(here) else name
