"""The circuit breaker of one replica: requests stay away from an engine that fails them all.

Closed, it lets everything through and counts failures in a row. Open, it lets nothing through for a time that doubles
with every opening, up to a cap, with jitter so that replicas do not come back in step. Then it is half open: exactly
one request is let through, whose first token closes it and whose failure opens it again. Whoever begins holds a
`Trial` and says how it went; one that began before the last opening has no say any more.

Pure: clock and randomness are arguments.

Implements: ORCH-3602.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

_LARGEST_EXPONENT = 64
"""Past every cap in use, and short of the float range."""


class BreakerState(StrEnum):
    """The states; the values are the `state` label of `adapter_breaker_transitions_total`."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """`failures` in a row open it (0: never), for `open_s` at first and at most `cap_s` seconds."""

    failures: int = 5
    open_s: float = 1.0
    cap_s: float = 30.0

    def pause_s(self, openings: int, random01: float, retry_after_s: float) -> float:
        """Return how long opening number `openings` (from 0) lasts: between half and all of the exponential time.

        The engine's own advice is a lower bound, itself cut at the cap.
        """
        whole = min(self.cap_s, self.open_s * 2.0 ** min(openings, _LARGEST_EXPONENT))
        return max(whole * (1 + random01) / 2, min(self.cap_s, retry_after_s))


@final
class Breaker:
    """One replica's breaker; `on_change` is told every new state."""

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        on_change: Callable[[BreakerState], None] = lambda _: None,
    ) -> None:
        self.state = BreakerState.CLOSED
        self._policy = policy
        self._clock = clock
        self._random = random
        self._on_change = on_change
        self._failures = 0
        self._openings = 0
        self._opens_at = 0.0
        self._epoch = 0
        self._probe: Trial | None = None

    def __repr__(self) -> str:
        return f"<Breaker {self.state} failures={self._failures} wait_s={self.wait_s:g}>"

    @property
    def wait_s(self) -> float:
        """How long nothing at all is let through, in seconds; 0 when it is closed or half open."""
        return max(0.0, self._opens_at - self._clock()) if self.state is BreakerState.OPEN else 0.0

    @property
    def room(self) -> int | None:
        """How many requests may begin now; None for any number."""
        if self.state is BreakerState.CLOSED:
            return None
        return 0 if self.wait_s or self._probe is not None else 1

    def begin(self) -> Trial | None:
        """Let a request through, or not."""
        if self.room == 0:
            return None
        trial = Trial(self, self._epoch)
        if self.state is not BreakerState.CLOSED:
            self._probe = trial
            self._become(BreakerState.HALF_OPEN)
        return trial

    def end_wait(self) -> None:
        """Let the next request through at once if it is open: there is reason to think that the engine is back."""
        self._opens_at = self._clock()

    def reset(self) -> None:
        """Forget everything: another engine stands behind it now."""
        self._epoch += 1
        self._failures = self._openings = 0
        self._probe = None
        self._become(BreakerState.CLOSED)

    def settle(self, trial: Trial, failed: bool | None, retry_after_s: float = 0.0) -> None:
        """Take in how a request went; None means that it says nothing about the engine. `Trial` calls this."""
        is_probe = trial is self._probe
        self._probe = None if is_probe else self._probe
        if trial.epoch != self._epoch or failed is None:
            return
        if not failed:
            self._failures = self._openings = 0
            self._become(BreakerState.CLOSED)
            return
        self._failures += 1
        if is_probe or self._failures == self._policy.failures:
            self._open(retry_after_s)

    def prove(self, trial: Trial) -> None:
        """Close it on the probe's first token: the engine works again, until one more failure."""
        if trial is self._probe:
            self._probe = None
            self._failures = self._policy.failures - 1
            self._become(BreakerState.CLOSED)

    def _open(self, retry_after_s: float) -> None:
        self._opens_at = self._clock() + self._policy.pause_s(self._openings, self._random(), retry_after_s)
        self._openings += 1
        self._failures = 0
        self._epoch += 1
        self._become(BreakerState.OPEN)

    def _become(self, state: BreakerState) -> None:
        if state is not self.state:
            self.state = state
            self._on_change(state)


@final
class Trial:
    """One request that a breaker let through; the first verdict counts."""

    __slots__ = ("_breaker", "_is_settled", "epoch")

    def __init__(self, breaker: Breaker, epoch: int) -> None:
        self.epoch = epoch
        self._breaker = breaker
        self._is_settled = False

    def token(self) -> None:
        """The engine has given a first token."""
        self._breaker.prove(self)

    def succeeded(self) -> None:
        """The engine has answered in full."""
        self._settle(failed=False)

    def failed(self, retry_after_s: float = 0.0) -> None:
        """The engine has failed the request; it may have said when trying again can help."""
        self._settle(failed=True, retry_after_s=retry_after_s)

    def dropped(self) -> None:
        """Nothing is known: the request was at fault, was cancelled, or never reached the engine."""
        self._settle(failed=None)

    def _settle(self, *, failed: bool | None, retry_after_s: float = 0.0) -> None:
        if not self._is_settled:
            self._is_settled = True
            self._breaker.settle(self, failed, retry_after_s)
