"""Opening the llama.cpp adapter."""

from __future__ import annotations

import pytest

from adapter_api import AdapterContext, PoolId, ReplicaId, load_factory

CONTEXT = AdapterContext(pool_id=PoolId("p"), replica_id=ReplicaId("r"), random=lambda: 0.5)


@pytest.mark.parametrize("url", ["engine:8080", "ftp://engine", "http://engine?x=1"])
async def test_an_address_that_is_none_is_refused_at_opening(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        async with load_factory("llamacpp").open({"url": url}, CONTEXT):
            pass


async def test_an_exception_of_the_block_comes_out_alone() -> None:
    with pytest.raises(KeyError):
        async with load_factory("llamacpp").open({"url": "http://x"}, CONTEXT):
            raise KeyError("mine")
