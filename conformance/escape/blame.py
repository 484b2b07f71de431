"""From a frame of the interpreter to the line of somebody's code that is answerable for it.

Outwards from the step: Python's own library is passed over, what is tolerated ends the search, other libraries are
passed over but remembered, and the first line of the adapter's own code is it. Where only libraries are on the way (a
task that one of them started), the outermost of them is named.
"""

from __future__ import annotations

import gc
import linecache
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.portable import portable

from .tolerated import LOADING, TOLERATED, is_tolerated, is_within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import FrameType

    from .doors import Way

_LIBRARIES = ("/site-packages/", "/dist-packages/")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of code: `file` is where Python finds it, `via` the library through which it acted, if it did."""

    file: str
    number: int
    function: str
    text: str
    via: str | None = None

    def __str__(self) -> str:
        through = f" (through {self.via})" if self.via else ""
        return f"{self.file}:{self.number} in {self.function}: {self.text}{through}"


def blamed(frame: FrameType | None, way: Way, own: Collection[str] = ()) -> Line | None:
    """Return the line that took a step outside; None if nobody is to blame. `own` are the adapter's packages."""
    candidate: FrameType | None = None
    libraries: list[FrameType] = []
    collecting = _collecting()
    for each, module in _outwards(frame):
        if module in LOADING or each.f_code in collecting:
            return None
        if candidate is not None:
            continue
        if is_tolerated(module, way):
            if not libraries:
                return None
            candidate = libraries[-1]
        elif _is_library(each, module, own):
            libraries.append(each)
        elif not _is_python(module):
            candidate = each
    found = candidate or (libraries[-1] if libraries else None)
    return None if found is None else _line(found, libraries)


def where(frame: FrameType | None) -> Line | None:
    """Return the innermost line that is neither Python's own nor the kit's nor a library's: where somebody stands."""
    for each, module in _outwards(frame):
        is_kit = any(is_within(module, row.module) for row in TOLERATED) and not is_within(module, "conformance.zoo")
        if not (_is_python(module) or is_kit or _is_library(each, module, ())):
            return _line(each, [])
    return None


def _collecting() -> set[object]:
    """Return the code that is called when rubbish is collected, which may be at any line that makes an object."""
    return {getattr(callback, "__code__", None) for callback in gc.callbacks}


def _outwards(frame: FrameType | None) -> Iterator[tuple[FrameType, str]]:
    while frame is not None:
        yield frame, str(frame.f_globals.get("__name__", ""))
        frame = frame.f_back


def _is_python(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _is_library(frame: FrameType, module: str, own: Collection[str]) -> bool:
    is_installed = any(place in frame.f_code.co_filename for place in _LIBRARIES)
    return is_installed and module.partition(".")[0] not in own and not is_within(module, "conformance.zoo")


def _line(frame: FrameType, libraries: list[FrameType]) -> Line:
    code, number = frame.f_code, frame.f_lineno
    others = [each for each in libraries if each is not frame]
    via = f"{_short(others[0].f_code.co_filename)}:{others[0].f_lineno}" if others else None
    text = linecache.getline(code.co_filename, number, frame.f_globals).strip()
    return Line(_short(code.co_filename), number, code.co_name, text or "(no source)", via)


def _short(path: str) -> str:
    return portable(path)
