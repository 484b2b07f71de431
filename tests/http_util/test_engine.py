"""The engine of an adapter: what it takes from its context."""

from __future__ import annotations

from email.utils import formatdate

import msgspec
import pytest

from adapter_api import AdapterContext, PoolId, PoolUnavailable, ReplicaId
from http_util.engine import open_engine
from http_util.settings import EngineSettings
from tests.support.http_wire import BASE, answering, engine, response

NOW_S = 1_900_000_000.0


@pytest.mark.req("ADAPT-3005e")
async def test_a_date_to_come_back_at_is_held_against_the_contexts_unix_time() -> None:
    refusal = response(b"", status=503, retry_after=formatdate(NOW_S + 30, usegmt=True))
    async with engine(answering([refusal])) as host:
        context = AdapterContext(
            pool_id=PoolId("p"),
            replica_id=ReplicaId("r"),
            random=lambda: 0.5,
            dial=host.dial,
            unix_time=lambda: NOW_S,
        )
        async with open_engine(EngineSettings(url=BASE), context) as opened:
            with pytest.raises(PoolUnavailable) as caught:
                await opened.call("/x", {}, msgspec.json.decode, phase="x")
    assert caught.value.retry_after_ms == 30_000
