"""How much memory is held, as a figure that is the same in every run: objects alive, not bytes and not time."""

from __future__ import annotations

import gc
import sys

import trio

_MORE_THAN_TRIO_KEEPS = 1200


async def held() -> int:
    """Return the number of small blocks of memory in use, rubbish apart. Others run meanwhile."""
    await _let_go_of_deadlines()
    gc.collect()
    return sys.getallocatedblocks()


async def _let_go_of_deadlines() -> None:
    """Have Trio forget the deadlines that have passed out of use.

    It keeps up to a thousand of them, so what is held would depend on how many there happen to be.
    """
    for _ in range(_MORE_THAN_TRIO_KEEPS):
        with trio.CancelScope(deadline=trio.current_time() + 1):  # noqa: ASYNC100 - it is opened to be forgotten
            pass
    await trio.lowlevel.checkpoint()
