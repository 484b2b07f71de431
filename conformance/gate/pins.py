"""Pins: the revision of each requirement that somebody last held a check against.

A line for each pair, sorted, so that changes of different people merge: `CAN-01.ADAPT-3101a = 1`. The file is TOML, and
written by the command alone: a new pair is pinned to what the document says now, an older pin moves only when its check
is named, which is the word of whoever names it that the check tests the new text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .facts import Pin
from .finding import Finding, Place

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from specs import Specification

    from .facts import CheckFact

_LINE = re.compile(r"([\w-]+)\.([\w-]+) = ([1-9]\d*)")
_HEAD = """\
# The revision of each requirement that somebody last held a check against, a line for each pair of them.
# Written by `conformance gate --fix`, which adds and removes, and `--pin CHECK`, which confirms; not by hand.
"""


def read(path: Path) -> tuple[list[Pin], list[Finding]]:
    """Return the pins, and a finding for each line that is none; a merge may leave a line twice, and in any order."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return [], []
    except (OSError, UnicodeDecodeError) as error:
        return [], [Finding("SPEC120", Place(path.as_posix()), path.name, str(error))]
    pins: dict[tuple[str, str], Pin] = {}
    wrong: list[Finding] = []
    for number, line in enumerate(lines, 1):
        found, place = _LINE.fullmatch(line), Place(path.as_posix(), number)
        if found is not None:
            pin = Pin(found[1], found[2], int(found[3]), place)
            first = pins.setdefault((pin.check, pin.requirement), pin)
            if first.revision != pin.revision:
                message = f"{pin.check} is pinned to {pin.requirement} r{first.revision} and r{pin.revision}"
                wrong.append(Finding("SPEC120", place, pin.check, message))
        elif line and not line.startswith("#"):
            wrong.append(Finding("SPEC120", place, path.name, f"{line[:60]!r} is no pin"))
    return list(pins.values()), wrong


def text(pins: Iterable[Pin]) -> str:
    """Return the text of the file."""
    return _HEAD + "".join(sorted(f"{pin.check}.{pin.requirement} = {pin.revision}\n" for pin in pins))


def settled(
    pins: Iterable[Pin], checks: Iterable[CheckFact], spec: Specification, confirmed: Collection[str] = ()
) -> list[Pin]:
    """Return a pin for each requirement that a check names: as it was, or if it is new or `confirmed`, as it is now."""
    before = {(pin.check, pin.requirement): pin for pin in pins}
    now = [
        Pin(check.id, id, spec.requirement(id).revision, check.place)
        for check in checks
        for id in dict.fromkeys(check.requirements)
        if id in spec.requirements or id in spec.aliases
    ]
    return [pin if pin.check in confirmed else before.get((pin.check, pin.requirement), pin) for pin in now]


def write(path: Path, pins: Sequence[Pin]) -> None:
    """Write the file, if it would be another one."""
    new = text(pins)
    if not path.exists() or path.read_text(encoding="utf-8") != new:
        path.write_text(new, encoding="utf-8", newline="\n")
