"""Every check there is, by id; the files of `checks/` say what they do.

The order is that of the report: group by group.
"""

from __future__ import annotations

from .check import Check, Group
from .checks import (
    bounds,
    cancel,
    concurrency,
    errors,
    escapes,
    everyday,
    failures,
    fidelity,
    lifecycle,
    load,
    meetings,
    observability,
    order,
    payloads,
    redaction,
    reports,
    secrets,
    stopping,
    text,
    timeouts,
)

_FILES = (
    lifecycle,
    everyday,
    order,
    text,
    payloads,
    errors,
    failures,
    cancel,
    stopping,
    timeouts,
    meetings,
    bounds,
    redaction,
    secrets,
    fidelity,
    concurrency,
    load,
    escapes,
    reports,
    observability,
)
_GROUPS = tuple(Group)


def _in_order() -> dict[str, Check]:
    checks: dict[str, Check] = {}
    for check in sorted((check for file in _FILES for check in file.CHECKS), key=_place):
        if check.id in checks:
            raise ValueError(f"two checks are called {check.id}")
        checks[check.id] = check
    return checks


def _place(check: Check) -> tuple[int, str]:
    return _GROUPS.index(check.group), check.id


CHECKS = _in_order()
"""Check id -> check."""
