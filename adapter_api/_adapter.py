"""What an adapter is.

An adapter turns one engine's protocol into the events of `_events.py`. It holds no policy: no queue, no retry of a
submit, no choice of replica. It is written against this package alone.

Implements: ADAPT-3000, ADAPT-3002, ADAPT-3005, ADAPT-3101.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    import trio

    from ._context import AdapterContext
    from ._events import JsonValue, TokenEvent
    from ._ids import TaskId
    from ._reports import CancelSupport, Capabilities, WorkerHealth, WorkerProps
    from ._requests import TaskRequest

    Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]


class WorkerAdapter(Protocol):
    """One engine, spoken to.

    Every method may be called from many tasks at once. Nothing that a method starts outlives it. The only exceptions
    that leave are `WorkerError` and `trio.Cancelled`.
    """

    @property
    def cancel_support(self) -> CancelSupport:
        """How this engine is made to stop."""

    async def health(self) -> WorkerHealth:
        """Ask the engine whether it is live and ready; an engine that cannot be reached is a report, not an error.

        Bounded in time by the adapter itself, without side effects on the engine.
        """

    async def props(self) -> WorkerProps:
        """Ask the engine for its capacity at this moment. Raises `WorkerError`."""

    async def capabilities(self) -> Capabilities:
        """Ask the engine what it serves. Raises `WorkerError`."""

    async def engine_version(self) -> str:
        """Ask the engine for its version, in its own words. Raises `WorkerError`."""

    def submit(self, request: TaskRequest) -> AbstractAsyncContextManager[AsyncIterator[TokenEvent]]:
        """Hand a request to the engine and stream its events in the order of `FrameOrder`.

        Entering may raise a `WorkerError`, and so may every step of the iteration; the stream stops after its terminal
        event. Leaving the block, by whatever way, closes the engine's connection (or makes the engine's own cancel
        call) before it returns, and that clean-up is bounded in time under cancellation. No event comes after that.
        Time bounds on connecting, the first token, silence between tokens and the whole are the adapter's.
        """

    async def cancel(self, task_id: TaskId) -> None:
        """Stop a request that `submit` has under way; unknown and finished ids are no error.

        After it returns, that stream gives no more tokens: it ends with `End(canceled=True)`, and the engine has been
        told. It does not wait for the engine's answer longer than a bound of its own.
        """


class AdapterFactory(Protocol):
    """What an entry point of the group `orchestratord.adapters` names: how adapters of one engine are made."""

    @property
    def engine(self) -> str:
        """The engine's name in `TaskRequest.engine`."""

    @property
    def settings_schema(self) -> Mapping[str, JsonValue]:
        """JSON Schema (2020-12) of the settings that `open` takes; every property has a description."""

    def open(
        self, settings: Mapping[str, object], context: AdapterContext
    ) -> AbstractAsyncContextManager[WorkerAdapter]:
        """Open an adapter on one replica of an engine; the engine need not be up.

        `settings` have passed `settings_schema`; credentials among them arrive as `Secret`. Leaving the block closes
        every connection and ends every stream that is still open.
        """
