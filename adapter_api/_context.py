"""What an adapter is given instead of reaching for it: the network, randomness, dates and its place in the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._adapter import Dial
    from ._ids import PoolId, ReplicaId


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterContext:
    """The surroundings of one adapter.

    `dial(host, port)` opens a byte stream in place of a TCP connection (tests and the conformance kit pass one that
    stays in memory); None means real TCP. `random()` gives floats in [0, 1) for back-off jitter. `redact(text)` masks
    every secret the service knows; an adapter passes through it whatever it quotes from an engine.
    `permits(host, port)` is the egress policy, asked before every connection: False means that it is not made.
    `unix_time()` gives Unix time in seconds, for dates that an engine writes; all else goes by Trio's clock.
    """

    pool_id: PoolId
    replica_id: ReplicaId
    random: Callable[[], float]
    dial: Dial | None = field(default=None, repr=False)
    redact: Callable[[str], str] = field(default=lambda text: text, repr=False)
    permits: Callable[[str, int], bool] = field(default=lambda _host, _port: True, repr=False)
    unix_time: Callable[[], float] = field(default=lambda: datetime.now(UTC).timestamp(), repr=False)
