"""Which event may follow which, as a table and a machine that walks it.

A stream is `started`, then `token` with `metrics` between, then one terminal event, then nothing. `error` may also come
first: an engine can fail before it starts. `token.i` counts from 0 with no gap, and a token's text is not empty.

Implements: ADAPT-3010, OC-CTRL-2027.
"""

from enum import StrEnum
from typing import final

from ._events import EventKind, Token, TokenEvent


class OrderState(StrEnum):
    """Where a stream stands."""

    IDLE = "idle"
    OPEN = "open"
    DONE = "done"


TRANSITIONS: dict[tuple[OrderState, EventKind], OrderState] = {
    (OrderState.IDLE, EventKind.STARTED): OrderState.OPEN,
    (OrderState.IDLE, EventKind.ERROR): OrderState.DONE,
    (OrderState.OPEN, EventKind.TOKEN): OrderState.OPEN,
    (OrderState.OPEN, EventKind.METRICS): OrderState.OPEN,
    (OrderState.OPEN, EventKind.END): OrderState.DONE,
    (OrderState.OPEN, EventKind.ERROR): OrderState.DONE,
}
"""(state, event) -> next state; a pair that is not here is a violation."""


class OrderViolation(Exception):
    """A stream broke the order; the text names the state, the event and what would have been legal."""


@final
class FrameOrder:
    """Walk one stream's events through the table.

    `state` tells where the stream stands and `tokens` how many token events passed.
    """

    __slots__ = ("state", "tokens")

    def __init__(self) -> None:
        self.state = OrderState.IDLE
        self.tokens = 0

    def __repr__(self) -> str:
        return f"<FrameOrder {self.state} tokens={self.tokens}>"

    @property
    def is_done(self) -> bool:
        """Whether a terminal event has passed."""
        return self.state is OrderState.DONE

    def accept(self, event: TokenEvent) -> None:
        """Take the next event; raise `OrderViolation` and stay where we are if it is not legal here."""
        if type(event) is Token and self.state is OrderState.OPEN:  # the hot path, without a table look-up
            self._accept_token(event)
            return
        following = TRANSITIONS.get((self.state, event.kind))
        if following is None:
            legal = ", ".join(kind for state, kind in TRANSITIONS if state is self.state) or "nothing"
            raise OrderViolation(f"`{event.kind}` while the stream is {self.state}; legal here: {legal}")
        self.state = following

    def seal(self) -> bool:
        """End the stream from our side (a cancel); False if it had ended already."""
        if self.is_done:
            return False
        self.state = OrderState.DONE
        return True

    def _accept_token(self, token: Token) -> None:
        if token.i != self.tokens:
            raise OrderViolation(f"`token` with i={token.i}; expected i={self.tokens}")
        if not token.t:
            raise OrderViolation(f"`token` i={token.i} has empty text")
        self.tokens += 1
