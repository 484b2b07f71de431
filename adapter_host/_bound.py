"""An adapter that is open for as long as it serves a replica, and for as long as a stream holds it.

Rebinding is: enter a new `bound`, then leave the old one. Callers meet one or the other, and the old adapter is closed
when its last stream is over. An adapter that cannot be opened changes nothing.

Implements: AH-1001.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from adapter_api import PoolId, ReplicaId, WorkerAdapter

    from ._host import AdapterHost
    from ._registry import Binding

CLOSE_BOUND_S = 5.0
"""How long a cancelled exit waits for streams in flight before it closes the adapter under them, in seconds."""


@asynccontextmanager
async def bound(
    host: AdapterHost,
    pool_id: PoolId,
    replica_id: ReplicaId,
    engine: str,
    opened: AbstractAsyncContextManager[WorkerAdapter],
) -> AsyncGenerator[Binding, None]:
    """Open an adapter, bind it, and on leaving unbind it, wait until no stream holds it, and close it.

    Leaving waits as long as the streams take, and `CLOSE_BOUND_S` seconds at most when it is cancelled or the block has
    failed. Raises what opening the adapter raises.
    """
    async with opened as adapter:
        binding = host.bind(pool_id, replica_id, engine, adapter)
        try:
            yield binding
            host.unbind(binding)
            await binding.wait_unused()
        finally:
            host.unbind(binding)
            with trio.move_on_after(CLOSE_BOUND_S, shield=True):
                await binding.wait_unused()
