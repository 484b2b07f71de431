"""Questions to an adapter, each bounded in time, whose answers are what they should be or one `WorkerError`.

An adapter bounds its own calls; the bound here is for the one that does not. What an engine can do changes only when it
restarts, so its capabilities are remembered with the binding: a rebind forgets them, and so does whoever saw a restart.

Implements: AH-1002, ORCH-3603.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import trio

from adapter_api import Capabilities, InternalError, PoolUnavailable, WorkerHealth, WorkerProps

from ._stream import as_worker_error, only_worker_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._registry import Binding
    from ._stream import Redact

T = TypeVar("T")


async def health_of(find: Callable[[], Binding], redact: Redact, bound_s: float) -> WorkerHealth:
    """Return the engine's health; whatever goes wrong is a report, not an error."""
    try:
        told = await _ask("health", find().adapter.health, WorkerHealth, bound_s)
        return WorkerHealth(live=bool(told.live), ready=bool(told.ready), detail=redact(told.detail))
    except Exception as error:  # noqa: BLE001 - an adapter that breaks its contract must not take the prober down
        return WorkerHealth(live=False, ready=False, detail=as_worker_error(error, redact).message)


async def props_of(find: Callable[[], Binding], redact: Redact, bound_s: float) -> WorkerProps:
    """Return the engine's capacity. Raises `WorkerError`, also where nothing is bound."""
    with only_worker_errors(redact):
        return await _ask("props", find().adapter.props, WorkerProps, bound_s)


async def capabilities_of(
    find: Callable[[], Binding], redact: Redact, bound_s: float, ttl_s: float, *, renew: bool
) -> Capabilities:
    """Return what the engine serves, as it said at most `ttl_s` seconds ago; `renew` asks anew. Raises as above."""
    with only_worker_errors(redact):
        binding = find()
        if renew:
            binding.forget()
        known = binding.known
        if known is not None and trio.current_time() - known.at < ttl_s:
            return known.capabilities
        told = await _ask("capabilities", binding.adapter.capabilities, Capabilities, bound_s)
        told = replace(told, engine_version=redact(told.engine_version))
        binding.remember(told, trio.current_time())
        return told


async def _ask(name: str, ask: Callable[[], Awaitable[object]], kind: type[T], bound_s: float) -> T:
    with trio.move_on_after(bound_s):
        told = await ask()
        if not isinstance(told, kind):
            raise InternalError(f"{name}: the adapter answered a {type(told).__name__} instead of {kind.__name__}")
        return told
    raise PoolUnavailable(f"{name}: no answer within {bound_s:g} s")
