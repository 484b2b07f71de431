"""Reading the metrics that an engine exports as Prometheus text.

Only what an adapter asks for is looked at: names, labels, finite values. Comments, time stamps and lines that are
something else are skipped, since a report of the capacity must not fail on a line that it does not need.

Implements: ADAPT-3000, ADAPT-3012.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*$", re.ASCII)
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')
_ESCAPES = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of an export."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(body: bytes) -> list[Sample]:
    """Return every readable sample, in order."""
    lines = body.decode("utf-8", "replace").split("\n")
    return [sample for line in lines if (sample := _sample(line.rstrip("\r"))) is not None]


def total(found: Iterable[Sample], *names: str, **labels: str) -> float | None:
    """Return the sum over all series with these labels of the first of `names` that is exported; None if none is."""
    fitting = [sample for sample in found if labels.items() <= sample.labels.items()]
    for name in names:
        values = [sample.value for sample in fitting if sample.name == name]
        if values:
            return sum(values)
    return None


def count(found: Iterable[Sample], *names: str, **labels: str) -> int | None:
    """Return `total` as a whole number from 0 up, None if it is none."""
    value = total(found, *names, **labels)
    return int(value) if value is not None and 0 <= value < 2**63 else None


def ratio(found: Iterable[Sample], *names: str, **labels: str) -> float | None:
    """Return `total` if it lies between 0 and 1, else None."""
    value = total(found, *names, **labels)
    return value if value is not None and 0 <= value <= 1 else None


def _sample(line: str) -> Sample | None:
    match = _LINE.match(line)
    if match is None:
        return None
    try:
        value = float(match[3])
    except ValueError:
        return None
    return Sample(match[1], _labels(match[2] or ""), value) if isfinite(value) else None


def _labels(text: str) -> dict[str, str]:
    return {name: re.sub(r'\\[\\"n]', _unescaped, value) for name, value in _LABEL.findall(text)}


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPES[escape[0]]
