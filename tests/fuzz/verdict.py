"""What must hold of an adapter whatever bytes its engine sends, said as assertions.

Only `WorkerError`s and legal events leave, values are such as the contract has them, every call is over within its
bounds. Leaks are looked for by the caller, who knows what was there before.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

import trio

import specs
from adapter_api import (
    Capabilities,
    Failed,
    FrameOrder,
    Token,
    WorkerAdapter,
    WorkerError,
    WorkerHealth,
    WorkerProps,
)
from conformance.oracle import SchemaOracle

from .targets import LONGEST_CALL_S, SECRET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from adapter_api import TaskRequest, TokenEvent

T = TypeVar("T")
LONGEST_MESSAGE = 600
MOST_CPU_S = 10.0
"""Far beyond what any of the answers takes, also on a busy machine; one that is read in quadratic time takes more."""

_SCHEMAS = SchemaOracle(specs.load(), specs.load().frame_order("adapter").events)


class Leaving(StrEnum):
    """How the reader of a stream takes leave."""

    READ_ALL = "reads to the end"
    CANCEL = "cancels by id and reads on"
    LEAVE = "leaves the block"


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who reads a stream, and after so many events does something else."""

    leaving: Leaving = Leaving.READ_ALL
    after: int = 0


async def check_reports(adapter: WorkerAdapter) -> None:
    """Ask for everything that an engine tells of itself."""
    with _bounded():
        health = await adapter.health()
    assert isinstance(health, WorkerHealth)
    assert health.live or not health.ready
    _check_text(health.detail)
    props = await _report(adapter.props())
    if props is not None:
        _check_props(props)
    capabilities = await _report(adapter.capabilities())
    if capabilities is not None:
        _check_capabilities(capabilities)
    version = await _report(adapter.engine_version())
    assert version is None or (isinstance(version, str) and version)


async def check_stream(adapter: WorkerAdapter, task: TaskRequest, reader: Reader) -> list[TokenEvent]:
    """Submit and read; return the events."""
    events: list[TokenEvent] = []
    order = FrameOrder()
    with _bounded():
        try:
            await _read(adapter, task, reader, order, events)
        except WorkerError as error:
            check_error(error)
            assert not order.is_done, "an error after the terminal event"
        else:
            assert order.is_done or reader.leaving is Leaving.LEAVE, "the stream stopped without a terminal event"
    for event in events:
        assert list(_SCHEMAS.check(event.kind, event.data)) == []
    return events


def check_error(error: WorkerError) -> None:
    """Hold an error to what callers are promised."""
    assert error.message
    _check_text(error.message)
    after_ms = error.retry_after_ms
    assert after_ms is None or (type(after_ms) is int and 0 <= after_ms < 2**53)
    assert SECRET not in repr(error)


async def _read(
    adapter: WorkerAdapter, task: TaskRequest, reader: Reader, order: FrameOrder, events: list[TokenEvent]
) -> None:
    async with adapter.submit(task) as stream:
        async for event in stream:
            _accept(event, order)
            events.append(event)
            if len(events) == reader.after + 1:
                match reader.leaving:
                    case Leaving.CANCEL:
                        await adapter.cancel(task.task_id)
                    case Leaving.LEAVE:
                        return
                    case Leaving.READ_ALL:
                        pass


def _accept(event: TokenEvent, order: FrameOrder) -> None:
    order.accept(event)
    if isinstance(event, Token):
        assert type(event.i) is int
        event.t.encode()
    if isinstance(event, Failed):
        check_error(event.error)


async def _report(asked: Awaitable[T]) -> T | None:
    with _bounded():
        try:
            return await asked
        except WorkerError as error:
            check_error(error)
    return None


def _check_props(props: WorkerProps) -> None:
    assert isinstance(props, WorkerProps)
    counts = (props.slots_total, props.slots_free, props.queue_depth)
    assert all(count is None or (type(count) is int and 0 <= count < 2**63) for count in counts), props
    assert props.kv_cache_usage_ratio is None or 0 <= props.kv_cache_usage_ratio <= 1
    if props.slots_total is not None and props.slots_free is not None:
        assert props.slots_free <= props.slots_total


def _check_capabilities(found: Capabilities) -> None:
    assert isinstance(found, Capabilities)
    assert found.engine_version
    assert found.model
    for size in (found.ctx_max, found.max_tokens_out, found.concurrency):
        assert size is None or (type(size) is int and 0 < size < 2**63), found
    for text in (found.engine_version, found.model, found.model_digest or ""):
        text.encode()


def _check_text(text: str) -> None:
    text.encode()
    assert len(text) <= LONGEST_MESSAGE, text
    assert text.isprintable(), repr(text)
    assert SECRET not in text


@contextmanager
def _bounded() -> Iterator[None]:
    """Hold what is done inside to the bounds, in the engine's time and in the processor's."""
    began_s = time.process_time()
    with trio.fail_after(LONGEST_CALL_S):
        yield
    assert time.process_time() - began_s < MOST_CPU_S
