"""How much memory is held, as a figure that is the same in every run: objects alive, not bytes and not time."""

from __future__ import annotations

import gc
import sys

import trio

_MOST_SCOPES = 4096
_DROP = 1000  # what Trio lets go of at a time is more than this


def held() -> int:
    """Return the number of small blocks of memory in use, rubbish apart."""
    _let_go_of_deadlines()
    gc.collect()
    return sys.getallocatedblocks()


def _let_go_of_deadlines() -> None:
    """Have Trio forget the deadlines that have passed out of use.

    It keeps them until there are a thousand, so what is held would depend on how many there happen to be.
    """
    before = sys.getallocatedblocks()
    for _ in range(_MOST_SCOPES):
        with trio.CancelScope(deadline=trio.current_time() + 1):  # noqa: ASYNC100 - it is opened to be forgotten
            pass
        now = sys.getallocatedblocks()
        if now < before - _DROP:
            return
        before = now
