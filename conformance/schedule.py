"""Deterministic scheduling: one seed, one order of Trio's tasks.

Trio shuffles each batch of runnable tasks. Its test-only switch makes that order depend on a seed alone. This is the
only file that touches the private name, and `tests/conformance/test_schedule.py` keeps a copy of Trio's own test of it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from trio._core import _run  # noqa: PLC2701 - the switch has no public name

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Make every `trio.run` inside the block schedule by `seed`; leave Trio as it was."""
    flag, state = _run._ALLOW_DETERMINISTIC_SCHEDULING, _run._r.getstate()  # noqa: SLF001 - see above
    _run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # noqa: SLF001 - as Trio's plug-in does
    _run._r.seed(seed)  # noqa: SLF001 - see above
    try:
        yield
    finally:
        _run._ALLOW_DETERMINISTIC_SCHEDULING = flag  # type: ignore[misc]  # noqa: SLF001 - see above
        _run._r.setstate(state)  # noqa: SLF001 - see above
