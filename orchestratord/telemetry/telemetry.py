"""What the service tells of itself: each moment of a task's life becomes a log line and a metric, in one place.

`human` is a short plain sentence in the present tense, without ids; ids are in the fields. Nothing is told per token,
and no prompt unless the configuration says so.

Implements: ORCH-3027, ORCH-3028, ORCH-3300, OC-CTRL-2041, OC-CTRL-2050, OC-CTRL-2051.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from adapter_host import ACTOR, Action, BreakerState, Note, discreet
from orchestratord.core.placement import Decision, NoPlace
from orchestratord.core.queue import Priority
from orchestratord.core.task import TaskState

from .metrics import OVERFLOW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from structlog.typing import FilteringBoundLogger

    from adapter_api import End, JsonValue
    from orchestratord.errors import ErrorEnvelope
    from orchestratord.runtime.pool import Pool
    from orchestratord.runtime.replica import Replica
    from orchestratord.runtime.task import Order, Task

    from .metrics import Metrics

ACTOR_SERVICE = "orchestratord"
UNPLACED = "unplaced"
"""The `replica_id` of a task that has no slot yet."""
UNKNOWN = "unknown"


@final
class Telemetry:
    """Log and metrics of one service; `redact` masks every secret in a text."""

    def __init__(
        self, log: FilteringBoundLogger, metrics: Metrics, redact: Callable[[str], str], *, log_prompts: bool = False
    ) -> None:
        self.log = log
        self._redact = redact
        self.metrics = metrics
        self._log_prompts = log_prompts

    def expect(self, pools: Iterable[Pool]) -> None:
        """Keep places for the pools' labels, so that what clients make up cannot take them."""
        for pool in pools:
            self.metrics.reserve("engine", pool.config.engine)
            self.metrics.reserve("pool_id", pool.pool_id)
            for replica_id in pool.replicas:
                self.metrics.reserve("replica_id", replica_id)
        for state in BreakerState:
            self.metrics.reserve("state", state)

    def placed(self, order: Order, decision: Decision | NoPlace) -> None:
        """A task was placed, or found no place."""
        if isinstance(decision, NoPlace):
            self._count_placement("refused", pinned=False, fallback=False)
            return
        self._count_placement("placed", pinned=decision.pinned, fallback=decision.fallback_used)
        self.metrics.gauge("placement_candidates_considered", {}, decision.candidates_considered)
        fields: dict[str, JsonValue] = {
            "pool_id": decision.pool_id,
            "candidates_considered": decision.candidates_considered,
            "filters_applied": decision.filters_applied,
            "tie_breakers_applied": decision.tie_breakers_applied,
        }
        self._tell("placement", "chooses a pool for a task", order, fields)

    def task_admitted(self, task: Task, pool: Pool) -> None:
        """A task has a seat."""
        self.metrics.count("tasks_enqueued_total", self._labels(task, pool, priority=task.order.priority))
        fields: dict[str, JsonValue] = {
            "pool_id": pool.pool_id,
            "queue_position": task.admission["queue_position"],
            "predicted_start_ms": task.admission["predicted_start_ms"],
            "prompt": task.order.request.prompt if self._log_prompts else None,
        }
        self._tell("admission", "admits a task", task.order, fields)

    def task_rejected(self, order: Order, envelope: ErrorEnvelope, *, is_served: bool) -> None:
        """A task was refused at admission; an engine that no pool runs is the client's own text, and no label."""
        engine = order.engine if is_served else OVERFLOW
        self.metrics.count("tasks_rejected_total", {"engine": engine, "reason": envelope.code})
        fields = {
            "error_kind": envelope.code.value,
            "pool_id": envelope.pool_id,
            "retry_after_ms": envelope.retry_after_ms,
        }
        self._tell("reject", f"refuses a task: {envelope.message}", order, fields)

    def task_started(self, task: Task, pool: Pool) -> None:
        """A task has its slot."""
        self.metrics.count("tasks_started_total", self._labels(task, pool, priority=task.order.priority))
        waited_ms = round(1000 * (trio.current_time() - task.admitted_at))
        self._tell("start", "starts a task", task.order, {**_place(task), "duration_ms": waited_ms})

    def first_token(self, task: Task, pool: Pool) -> None:
        """The first token of a task has come."""
        waited_ms = 1000 * (trio.current_time() - task.admitted_at)
        labels = self._labels(task, pool, priority=task.order.priority)
        self.metrics.observe("latency_first_token_ms", labels, waited_ms)

    def task_over(self, task: Task, pool: Pool) -> None:
        """A task has its terminal frame; its slot may be held until the engine has let go."""
        fields = {**_place(task), **_figures(task)}
        if task.end is not None:
            self._count_tokens(task.end, self._labels(task, pool))
        if task.state is TaskState.CANCELED:
            reason = task.cancel_reason or UNKNOWN
            self.metrics.count("tasks_canceled_total", self._labels(task, pool, reason=reason))
            self._tell("cancel", f"stops a task ({reason})", task.order, {**fields, "reason": reason})
        elif task.error is not None:
            error = task.error
            told = {**fields, "error_kind": error.code.value, "retry_after_ms": error.retry_after_ms}
            self._tell("error", f"fails a task: {error.message}", task.order, told, level="warning")
        elif task.end is not None:
            labels = self._labels(task, pool, priority=task.order.priority)
            self.metrics.observe("latency_decode_ms", labels, task.end.decode_time_ms)
            self._tell("end", "has streamed an answer in full", task.order, fields)

    def unexpected(self, order: Order, error: Exception) -> None:
        """Something broke that nobody provided for; only the log gets the details, and not what the caller wrote."""
        detail = discreet(self._redact, order.request)(_text_of(error))
        fields = {"error_kind": "INTERNAL", "detail": detail}
        self._tell("internal", f"meets an unexpected {type(error).__name__}", order, fields, level="error")

    def backpressure(self, pool: Pool) -> None:
        """A full queue refused or dropped a task."""
        labels = {"engine": pool.config.engine, "policy": pool.queue.policy.value}
        self.metrics.count("admission_backpressure_events_total", labels)

    def dropped_frame(self, frame: str) -> None:
        """A frame was left out because a client is slow."""
        self.metrics.count("sse_backpressure_drops_total", {"frame": frame})

    def health_changed(self, pool: Pool, replica: Replica) -> None:
        """A probe saw an engine change."""
        health = replica.health
        state = "is ready" if health.ready else f"is not ready ({health.detail or 'no answer'})"
        self.log.info(
            "health",
            human=f"{pool.config.engine} {state}",
            actor=ACTOR_SERVICE,
            action="probe",
            target=pool.pool_id,
            engine=pool.config.engine,
            pool_id=pool.pool_id,
            replica_id=replica.replica_id,
        )

    def replica_refused(self, pool: Pool, replica: Replica) -> None:
        """A replica differs from the rest of its pool."""
        self.log.warning(
            "replica",
            human="keeps a replica out that differs from the rest of its pool",
            actor=ACTOR_SERVICE,
            action="keep out",
            target=pool.pool_id,
            engine=pool.config.engine,
            pool_id=pool.pool_id,
            replica_id=replica.replica_id,
            detail=replica.misfit,
        )

    def host_note(self, note: Note) -> None:
        """Log what the adapter host tells, and count its further tries and the changes of its breakers."""
        told = {"human": note.human, "actor": ACTOR, "action": note.action.value, "target": note.target, **note.fields}
        match note.action:
            case Action.RETRY:
                self.metrics.count("adapter_retries_total", _texts(note, "engine", "pool_id"))
                self.log.info("retry", **told)
            case Action.BREAKER:
                labels = _texts(note, "pool_id", "replica_id", "state")
                self.metrics.count("adapter_breaker_transitions_total", labels)
                self.log.warning("breaker", **told)
            case _:
                self.log.debug(note.action.value, **told)

    def exposition(self, pools: Iterable[Pool]) -> bytes:
        """Return the metrics, with the gauges of the pools as they are now and of nothing else."""
        self.metrics.clear_gauges()
        for pool in pools:
            self._gauge_pool(pool)
        return self.metrics.text()

    def _gauge_pool(self, pool: Pool) -> None:
        labels = _pool_labels(pool)
        for priority in Priority:
            self.metrics.gauge("queue_depth", {**labels, "priority": priority}, pool.queue.depth(priority))
        self.metrics.gauge("pool_ready", {"pool_id": pool.pool_id}, pool.is_ready)
        self.metrics.gauge("active_leases", {"pool_id": pool.pool_id}, pool.active_leases)
        for replica in pool.replicas.values():
            ratio = replica.props.kv_cache_usage_ratio
            if ratio is not None:
                self.metrics.gauge("kv_cache_usage_ratio", {**labels, "replica_id": replica.replica_id}, ratio)

    def _count_placement(self, outcome: str, *, pinned: bool, fallback: bool) -> None:
        labels = {"outcome": outcome, "pinned": str(pinned).lower(), "fallback": str(fallback).lower()}
        self.metrics.count("placement_decisions_total", labels)

    def _count_tokens(self, end: End, labels: Mapping[str, str]) -> None:
        self.metrics.count("tokens_out_total", labels, end.tokens_out)
        self.metrics.count("tokens_in_total", labels, end.tokens_in or 0)

    def _labels(self, task: Task, pool: Pool, **more: str) -> dict[str, str]:
        replica = UNPLACED if task.lease is None else task.lease.replica_id
        return {**_pool_labels(pool), "replica_id": replica, **more}

    def _tell(
        self, event: str, human: str, order: Order, fields: Mapping[str, JsonValue], *, level: str = "info"
    ) -> None:
        request = order.request
        known: dict[str, JsonValue] = {
            "human": human,
            "actor": ACTOR_SERVICE,
            "action": event,
            "target": fields.get("pool_id") or order.engine,
            "correlation_id": request.correlation_id,
            "identity": order.identity,
            "job_id": request.task_id,
            "session_id": request.session_id,
            "engine": order.engine,
            "seed": request.seed,
            "sampler_profile_version": request.sampler_profile_version,
            **fields,
        }
        present = {name: value for name, value in known.items() if value is not None}
        {"info": self.log.info, "warning": self.log.warning, "error": self.log.error}[level](event, **present)


def _texts(note: Note, *names: str) -> dict[str, str]:
    return {name: str(note.fields[name]) for name in names}


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001 - a foreign class; the log of a failure must not fail
        return f"no text: {type(failure).__name__} in its __str__"


def _pool_labels(pool: Pool) -> dict[str, str]:
    version = pool.served.engine_version or UNKNOWN
    return {"engine": pool.config.engine, "engine_version": version, "pool_id": pool.pool_id}


def _place(task: Task) -> dict[str, JsonValue]:
    return {"pool_id": task.pool_id, "replica_id": None if task.lease is None else task.lease.replica_id}


def _figures(task: Task) -> dict[str, JsonValue]:
    ended_at = task.admitted_at if task.ended_at is None else task.ended_at
    figures: dict[str, JsonValue] = {"duration_ms": round(1000 * (ended_at - task.admitted_at))}
    if task.end is not None:
        figures["tokens_in"] = task.end.tokens_in
        figures["tokens_out"] = task.end.tokens_out
        figures["decode_time_ms"] = task.end.decode_time_ms
    return figures
