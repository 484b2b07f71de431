"""The shipped mock adapter as a subject: engine and adapter in one, no connection between them.

The neutral script becomes the mock's own. What only exists on a wire (pings, byte splits, foreign bytes) is left out or
becomes the failure it would lead to.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast, final

from adapter_api import ERROR_KINDS, AdapterContext, PoolId, ReplicaId, Secret, load_factory
from conformance.engines import script as s
from conformance.engines.received import of_parts
from conformance.subject import Fault, Rig
from conformance.times import unix_time
from conformance.wire_faults import ANY, fault_of
from specs import ErrorPhase

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence

    from adapter_api import AdapterFactory, JsonValue, TaskRequest
    from conformance.engines.received import Received
    from conformance.subject import Situation
    from specs import Specification

ENGINE_VERSION = "mock-conformance-7"


@final
class MockSubject:
    """The adapter that `adapter_api.load_factory("mock")` finds."""

    name = "mock"
    engine = "mock"
    limits: Mapping[str, str] = {
        "wire": "the mock has no bytes between adapter and engine",
        "connection": "the mock opens no connection",
        "own-reasons": "the mock ends for the reasons of the contract alone",
    }

    def faults(self, spec: Specification) -> Sequence[Fault]:
        """Return every kind of the taxonomy, before and after the first token."""
        return tuple(_faults(spec))

    @cached_property
    def _factory(self) -> AdapterFactory:
        return load_factory(self.engine)

    @asynccontextmanager
    async def open(self, situation: Situation) -> AsyncIterator[Rig]:
        """Open the mock; it needs no engine of its own."""
        context = AdapterContext(
            pool_id=PoolId("pool"),
            replica_id=ReplicaId("replica"),
            random=situation.random,
            redact=situation.canaries.mask,
            unix_time=unix_time,
        )
        async with self._factory.open(_settings(situation), context) as adapter:
            mock = cast("_Mock", adapter)
            yield Rig(
                adapter=adapter,
                facts=_Facts(mock),
                engine_version=ENGINE_VERSION,
                stop=mock.engine.stop,
                start=mock.engine.start,
                forget=mock.engine.asked.clear,
            )


class _MockFacts(Protocol):
    @property
    def asked(self) -> Sequence[TaskRequest]: ...
    @property
    def live(self) -> Collection[object]: ...
    @property
    def submitted(self) -> int: ...


class _MockEngine(Protocol):
    asked: deque[TaskRequest]

    def stop(self) -> None: ...
    def start(self) -> None: ...


class _Mock(Protocol):
    @property
    def engine(self) -> _MockEngine: ...
    @property
    def facts(self) -> _MockFacts: ...


@dataclass(frozen=True, slots=True)
class _Facts:
    mock: _Mock
    connections: int = 0

    @property
    def live(self) -> int:
        return len(self.mock.facts.live)

    @property
    def submitted(self) -> int:
        return self.mock.facts.submitted

    @property
    def received(self) -> Sequence[Received]:
        return [_received(request) for request in self.mock.facts.asked]


def _received(request: TaskRequest) -> Received:
    """Return what the engine was asked; there are no bytes, so what stands for them is the request as JSON."""
    given: dict[str, JsonValue] = {
        **asdict(request.sampling),
        "stop": request.sampling.stop or None,
        "max_tokens": request.max_tokens,
        "seed": request.seed,
        "prompt": request.prompt or None,
        "messages": [asdict(message) for message in request.messages],
        "workload": request.workload,
    }
    headers = {} if request.correlation_id is None else {"x-correlation-id": request.correlation_id}
    return of_parts(json.dumps(given).encode(), headers, given)


def _settings(situation: Situation) -> dict[str, object]:
    settings: dict[str, object] = {
        "scripts": [list(_steps(script)) for script in situation.scripts if script.steps],
        "slots": situation.slots,
        "loading_ms": round(1000 * max((script.loading_s for script in situation.scripts), default=0)),
        "engine_version": ENGINE_VERSION,
        "api_key": Secret(situation.canaries["api_key"]),
        "tokens_per_second": 8.0,
    }
    bounds = {"first_token_ms": situation.first_token_s, "idle_ms": situation.idle_s}
    return settings | {name: round(1000 * seconds) for name, seconds in bounds.items() if seconds is not None}


def _steps(script: s.Script) -> Iterator[dict[str, object]]:
    usage: dict[str, object] = {}
    has_started = any(isinstance(step, s.Accept) for step in script.steps)
    for step in script.steps:
        if not has_started and isinstance(step, s.Text | s.Finish):
            has_started = True
            yield {"do": "started"}
        if isinstance(step, s.Usage):
            usage = {"tokens_in": step.tokens_in, "tokens_out": step.tokens_out}
        yield from _translated(step, usage)
    if not has_started:
        yield {"do": "started"}
    yield {"do": "end", **usage}  # not reached by a script that has a last word


_REASONS = {"stop_string": "stop"}


def _translated(step: s.Step, usage: Mapping[str, object]) -> Iterator[dict[str, object]]:
    match step:
        case s.Accept():
            yield {"do": "started"}
        case s.Text(text=text):
            yield {"do": "token", "text": text}
        case s.Pause(seconds=seconds):
            yield {"do": "pause", "ms": seconds * 1000}
        case s.Stall():
            yield {"do": "stall"}
        case s.Finish(reason=reason):
            yield {"do": "end", "reason": _REASONS.get(reason, reason), **usage}
        case s.Cut() | s.Reset() | s.Die():
            yield {"do": "reset"}
        case s.Fail(status=status, type=kind, message=message):
            yield {
                "do": "error",
                "kind": kind if kind in ERROR_KINDS else "Internal",
                "message": _words(status, message),
            }
        case s.Loading() | s.Overload():
            yield {"do": "error", "kind": "PoolUnavailable", "message": "completion: no room"}
        case s.Answer() | s.Malformed():
            yield {"do": "error", "kind": "Adapter", "message": "completion: not the protocol"}
        case _:
            pass


def _words(status: int, message: str) -> str:
    return f"completion: HTTP {status}: {message}" if status else f"completion: {message}"


def _faults(spec: Specification) -> Iterator[Fault]:
    for shared in spec.engine_errors(ANY):
        if shared.phase is ErrorPhase.TRANSPORT:
            yield fault_of(shared)
    for row in spec.worker_errors.values():
        failure = s.Fail(0, row.kind, "the words of the engine", in_stream=True)
        for when, steps in (("first", ()), ("after-a-token", (s.Accept(), s.Text("One")))):
            yield Fault(
                id=f"{row.kind}-{when}",
                condition=f"the engine fails with {row.kind}",
                script=s.Script.of(*steps, failure),
                kind=row.kind,
                retriable=row.retriable,
                mentions=("the words of the engine",),
            )
