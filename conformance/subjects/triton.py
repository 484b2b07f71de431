"""The shipped Triton adapter as subjects, in front of the Triton double, in memory: one for each way of speaking.

Nothing here is sent before the first response, so two rows that every engine has cannot happen: silence and comments
after the head. A model that tells no finish reason ends with the end of its stream, cut or not. Over gRPC a row's words
come as the error of one request in a stream that goes on.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, final

from conformance.engines.host import Link
from conformance.engines.script import Accept, Fail, Pause, Script, Text
from conformance.engines.triton import TritonDouble, TritonSettings
from conformance.engines.triton.failures import ENDS_CALL
from conformance.times import STEP_S
from conformance.wire_faults import ANY, fault_of
from specs import ErrorPhase

from .http_engine import HttpSubject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from conformance.engines.double import EngineDouble
    from conformance.engines.script import Step
    from conformance.subject import Fault, Rig, Situation
    from specs import EngineError, Specification

_NOTICES_S = 1.0
_NO_HEAD = frozenset({"silent-before-token", "only-comments"})
_HTTP_ONLY = frozenset({
    "wrong-method",
    "wrong-path",
    "wrong-encoding",
    "many-responses",
    "restricted",
    "not-supported",
})
_TRACEBACK = "Traceback"
_CALL = "call-"  # begins the id of a row that is the status of a whole gRPC call
_SPOKEN: tuple[Step, ...] = (Accept(), Text("One"), Pause(STEP_S), Text(" two"), Pause(STEP_S))
_HEAD = {"head": "the head of an answer comes with its first response"}
_NO_END = {"end-marker": "the model tells no finish reason, so the end of the stream is all there is"}
_NO_REASON = {"reasons": "the model tells no finish reason"}
_NO_COUNT = {"counts": "the model counts no tokens"}
_NOT_LONG = {"long-answers": "every response repeats all text so far, and none may be longer than 1 MiB"}


@final
@dataclass(kw_only=True)
class TritonSubject:
    """The adapter in front of a model of this dialect; `settings` are told to it beside the model's name."""

    name: str
    dialect: str
    model: str
    settings: Mapping[str, object] = field(default_factory=dict)
    without: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[str, ...] = ("triton",)
    engine: str = "triton"

    def __post_init__(self) -> None:
        self.limits: Mapping[str, str] = {**_HEAD, **self.without}
        self._http = HttpSubject(
            engine=self.engine,
            build=self._double,
            engine_version=self._version(TritonSettings()),
            settings={"model": self.model, **_MODELS, **self.settings},
            limits=self.limits,
            name=self.name,
            upgrade=self._upgrade,
        )

    @property
    def is_grpc(self) -> bool:
        """Whether completions travel over gRPC."""
        return self.settings.get("transport") == "grpc"

    def faults(self, spec: Specification) -> Sequence[Fault]:
        """Return the rows that can happen here: the engine's own, and those that all engines have."""
        own = [row for engine in self.rows for row in spec.engine_errors(engine)]
        make = _grpc_fault if self.is_grpc else _http_fault
        return tuple(self._possible(make, (*own, *spec.engine_errors(ANY))))

    def open(self, situation: Situation) -> AbstractAsyncContextManager[Rig]:
        """Open a double and the adapter in front of it."""
        return self._http.open(situation)

    def _possible(self, make: Callable[[EngineError], Fault], rows: Sequence[EngineError]) -> Iterator[Fault]:
        impossible = _NO_HEAD | (_HTTP_ONLY if self.is_grpc else set())
        if "end-marker" in self.limits:
            impossible |= {"clean-end"}
        return (make(row) for row in rows if row.id not in impossible)

    def _version(self, settings: TritonSettings) -> str:
        return f"triton/{settings.version} {self.model}/1"

    def _upgrade(self, double: EngineDouble) -> str:
        assert isinstance(double, TritonDouble)
        double.repository.settings = replace(double.settings, version="2.99.0")
        return self._version(double.repository.settings)

    def _double(self, situation: Situation) -> TritonDouble:
        settings = TritonSettings(
            dialect=self.dialect,
            model=self.model,
            slots=situation.slots,
            max_input=8192,
            notices_s=_NOTICES_S,
        )
        return TritonDouble(situation.engine_tasks, settings, Link())


_MODELS = {"embedding": {"model": "embedding"}, "rerank": {"model": "ranking"}}


def _http_fault(row: EngineError) -> Fault:
    fault = fault_of(row)
    return replace(fault, mentions=_last_line(row)) if _TRACEBACK in row.body else fault


def _grpc_fault(row: EngineError) -> Fault:
    """Return a row as the error message of one request, if it has words; else as it stands."""
    words = _error(row)
    if words is None:
        return fault_of(row)
    is_late = row.phase is ErrorPhase.STREAM
    failure = Fail(row.status, ENDS_CALL if row.id.startswith(_CALL) else "", words, in_stream=True)
    script = Script((*(_SPOKEN if is_late else ()), failure))
    return replace(_http_fault(row), script=script, status=None)


def _error(row: EngineError) -> str | None:
    """Return the engine's words in a body, plain or in an event."""
    try:
        body = json.loads(row.body.strip().removeprefix("data: "))
    except ValueError:
        return None
    words = body.get("error") if isinstance(body, dict) else None
    return words if isinstance(words, str) else None


def _last_line(row: EngineError) -> tuple[str, ...]:
    return tuple((_error(row) or "").strip().splitlines()[-1:])


TRITON = TritonSubject(name="triton", dialect="vllm", model="vllm_model")
TRITON_GRPC = TritonSubject(
    name="triton-grpc",
    dialect="vllm",
    model="vllm_model",
    settings={"transport": "grpc", "grpc_url": "grpc://engine.test:8081"},
    rows=("triton", "triton-grpc"),
)
TRITON_LLM_API = TritonSubject(
    name="triton-llmapi",
    dialect="llmapi",
    model="tensorrt_llm",
    without={**_NO_COUNT, **_NOT_LONG},
    rows=("triton", "triton-llmapi"),
)
TRITON_CLASSIC = TritonSubject(
    name="triton-classic",
    dialect="classic",
    model="ensemble",
    settings={"stop_by_request_id": True},
    without={**_NO_END, **_NO_REASON},
)
