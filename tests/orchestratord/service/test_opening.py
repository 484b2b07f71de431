"""Adapters that cannot be opened: told as what they are, with the pool's name and without a secret."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import Secret
from orchestratord.config import config_from
from orchestratord.service import AdapterNotOpened, open_service, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue, WorkerAdapter
    from orchestratord.config import Config

KEY = "canary-key/API+5d20be81aa6c"


class Unopenable:
    """An engine whose adapter fails to open."""

    engine = "unopenable"
    settings_schema: Mapping[str, JsonValue] = {
        "type": "object",
        "properties": {"api_key": {"type": "string", "writeOnly": True, "description": "A key."}},
    }

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[WorkerAdapter]:
        await trio.lowlevel.checkpoint()
        raise self.failure
        yield


def configuration(factory: Unopenable) -> Config:
    pool = {"id": "broken", "engine": "unopenable", "model_ref": "m"}
    data = {
        "server": {"bind": "127.0.0.1:0"},
        "pools": [{**pool, "replicas": [{"id": "r7", "settings": {"api_key": Secret(KEY)}}]}],
    }
    return config_from(data, {}, lambda _: factory)


@pytest.mark.req("HTU-1004", "AH-1001")
@pytest.mark.parametrize(
    "failure",
    [
        OSError(2, f"no such file: {KEY}"),
        ValueError(f"bad key {KEY}"),
        KeyError(KEY),
        ExceptionGroup("several", [RuntimeError(f"inner {KEY}"), ValueError("x")]),
    ],
)
async def test_a_failure_to_open_names_the_replica_and_no_secret(failure: Exception) -> None:
    factory = Unopenable(failure)
    with pytest.raises(AdapterNotOpened) as told:
        await serve(configuration(factory), factories=lambda _: factory)
    cause = failure.exceptions[0] if isinstance(failure, ExceptionGroup) else failure
    assert str(told.value).startswith(f"pool broken, replica r7: {type(cause).__name__}: ")
    assert KEY not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__context__ is None, "a traceback would show the secret"


async def test_cancelled_while_an_adapter_opens_is_no_failure_of_it(autojump_clock: trio.testing.MockClock) -> None:
    class Slow(Unopenable):
        @asynccontextmanager
        async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[WorkerAdapter]:
            await trio.sleep_forever()
            raise self.failure
            yield

    factory = Slow(ValueError("never"))
    with trio.move_on_after(1) as scope:
        async with open_service(configuration(factory), factories=lambda _: factory):
            raise AssertionError("it opened")
    assert scope.cancelled_caught
