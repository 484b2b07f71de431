"""What a client gets that comes when the service has as many connections as it may have.

An answer of fixed bytes before the request is read: whatever it asks for, there is no room for it. Few are answered at
the same time; more than that are closed without a word, so that a flood costs no more than the limit allows.

Implements: SSE-1004c.
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, final

import msgspec
import trio

from orchestratord.errors import Code, ErrorEnvelope

from .connection import LINGER_S

if TYPE_CHECKING:
    from .connection import Transport

AT_ONCE = 64
RETRY_AFTER_MS = 1000


@final
class Doorman:
    """Turns clients away; `limit` is the number of connections that the service keeps."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._leaving = 0

    async def turn_away(self, transport: Transport) -> None:
        """Answer 429 and close, within a second. Cancelled closes at once."""
        self._leaving += 1
        try:
            if self._leaving <= AT_ONCE:
                with trio.move_on_after(LINGER_S), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await transport.send_all(_answer(self.limit))
                    await transport.send_eof()
                    while await transport.receive_some(65_536):
                        pass  # a close with a request unread would destroy the answer
        finally:
            self._leaving -= 1
            with trio.CancelScope() as scope:
                scope.cancel()  # a cancelled close is a forceful one
                await transport.aclose()


def _answer(limit: int) -> bytes:
    envelope = ErrorEnvelope(
        code=Code.ADMISSION_REJECT,
        message=f"the service has {limit} connections, as many as it keeps",
        retry_after_ms=RETRY_AFTER_MS,
        policy_label="connections",
        hint="close connections that you do not use, or raise server.max_connections",
    )
    body = msgspec.json.encode(envelope.data)
    head = (
        f"HTTP/1.1 {envelope.status} Too Many Requests\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\nRetry-After: 1\r\nX-Backoff-Ms: {RETRY_AFTER_MS}\r\n"
        f"X-Backoff-Policy: connections\r\nX-Correlation-Id: {uuid.uuid4()}\r\n\r\n"
    )
    return head.encode() + body
