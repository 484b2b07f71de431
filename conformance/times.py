"""The kit's times, all of them virtual.

Every instant is a multiple of a power of two, so sums are exact and an event can be put at the very instant of
another: races are only found where things happen at the same time.
"""

import trio

TICK_S = 2.0**-10
"""The smallest distance between two instants that count as different."""

STEP_S = 2.0**-3
"""The usual distance between two things a scripted engine does."""

ACK_BOUND_S = 1.0
"""Longest time `cancel` may take; the service acknowledges by then in any case."""

CLEANUP_BOUND_S = 1.0
"""Longest time that leaving a stream under cancellation may take."""

RELEASE_BOUND_S = 3.0
"""Longest time until the engine is seen to have let go; a real llama.cpp looks for gone clients once a second."""

QUIET_S = 60.0
"""How long the kit goes on listening after the last event of a stream."""

CASE_BOUND_S = 3600.0
"""A case that has not ended by then hangs."""

EPOCH_S = 1_800_000_000.0
"""Unix time at which every case begins."""


def unix_time() -> float:
    """Return Unix time in seconds on the clock of the run that this is called in."""
    return EPOCH_S + trio.current_time()
