"""The blocks of the pages on metrics and logs, from the specification."""

from __future__ import annotations

import specs

from .markdown import code, table

LOG_FIELDS = {
    "ts": "time, ISO 8601 in UTC",
    "level": "`debug`, `info`, `warning` or `error`",
    "event": "what kind of moment this is; see below",
    "human": "a short sentence on what happens, without ids",
    "actor": "who does it: `orchestratord` or `adapter-host`",
    "action": "what is done",
    "target": "to what: a pool, or an engine",
    "correlation_id": "the request's `X-Correlation-Id`",
    "identity": "the caller: `localhost` or `token:` and six hex digits of the token's SHA-256",
    "job_id": "the task's `task_id`",
    "session_id": "the task's `session_id`",
    "engine": "the engine's name",
    "engine_version": "what the engine says it is",
    "sampler_profile_version": "the sampler profile in use",
    "model_digest": "the digest of the model",
    "pool_id": "the pool",
    "replica_id": "the replica",
    "queue_position": "tasks that go before this one",
    "predicted_start_ms": "estimated time until the task has a slot",
    "tokens_in": "tokens of the prompt, as the engine counts them",
    "tokens_out": "tokens of the answer, as the engine counts them",
    "decode_time_ms": "from the first token to the end",
    "seed": "the seed the caller gave",
    "error_kind": "the error's code, on the way to a client; the kind of `WorkerError` in records of the host",
    "retry_after_ms": "when trying again may help",
    "backoff_ms": "how long the caller was asked to hold back",
    "duration_ms": "from admission to this moment",
}
"""Field -> what it says; every field of the specification has to be here."""


def metrics() -> str:
    """Return every metric."""
    return table(
        ["metric", "type", "labels", "what it counts"],
        (
            (code(metric.name), metric.type.value, ", ".join(map(code, metric.labels)), _about(metric))
            for metric in specs.load().metrics.values()
        ),
    )


def budgets() -> str:
    """Return how many values each label may take."""
    found = specs.load().label_budgets.items()
    return table(["label", "values"], ((code(label), str(budget)) for label, budget in found))


def log_fields() -> str:
    """Return the fields of a log record."""
    return table(["field", "what it says"], ((code(name), LOG_FIELDS[name]) for name in specs.load().log.fields))


def _about(metric: specs.Metric) -> str:
    if not metric.buckets:
        return metric.help
    return f"{metric.help} Buckets: {', '.join(f'{bound:g}' for bound in metric.buckets)}."
