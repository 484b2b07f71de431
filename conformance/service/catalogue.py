"""Every check of a service, by id, in the order in which they are played: what sends many tasks comes last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .check import Group, ServiceCheck
from .checks import admission, cancel, http, queue, stream, telling

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILES = (http, admission, stream, cancel, telling, queue)


def _in_order() -> dict[str, ServiceCheck]:
    checks: dict[str, ServiceCheck] = {}
    groups = tuple(Group)
    for check in sorted((check for file in _FILES for check in file.CHECKS), key=lambda each: groups.index(each.group)):
        if check.id in checks:
            raise ValueError(f"two checks are called {check.id}")
        checks[check.id] = check
    return checks


SERVICE_CHECKS = _in_order()
"""Check id -> check."""

PROFILES: Mapping[str, frozenset[Group]] = {
    "http": frozenset({Group.HTTP}),
    "errors": frozenset({Group.ERRORS, Group.ADMISSION}),
    "stream": frozenset({Group.STREAM, Group.QUEUE}),
    "cancel": frozenset({Group.CANCEL}),
    "auth": frozenset({Group.AUTH, Group.REDACTION}),
    "observability": frozenset({Group.OBSERVABILITY}),
    "full": frozenset(Group),
}
"""Name of a profile -> the groups of checks that are in it."""
