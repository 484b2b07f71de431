"""What waits in an adapter is told to the service, so that it slows the engine down and not what has left it."""

from __future__ import annotations

import pytest

from adapter_api import Started, Token, TokenEvent
from adapter_host._stream import HostedStream


class Plain:
    def __init__(self, *events: TokenEvent) -> None:
        self.events = list(events)

    def __aiter__(self) -> Plain:
        return self

    async def __anext__(self) -> TokenEvent:
        return self.events.pop(0)


class ReadingAhead(Plain):
    @property
    def at_hand(self) -> int:
        return len(self.events)


def ignore(_event: TokenEvent) -> None: ...


@pytest.mark.req("SSE-1004")
async def test_the_events_an_adapter_has_read_are_counted() -> None:
    stream = HostedStream(ReadingAhead(Started(), Token("a", 0), Token("b", 1)), str, ignore)
    counts = [stream.at_hand]
    for _ in range(3):
        await anext(stream)
        counts.append(stream.at_hand)
    assert counts == [3, 2, 1, 0]


@pytest.mark.req("SSE-1004")
def test_an_adapter_that_does_not_tell_has_nothing_at_hand() -> None:
    assert HostedStream(Plain(Started(), Token("a", 0)), str, ignore).at_hand == 0
