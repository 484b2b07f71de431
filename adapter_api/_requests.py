"""What is asked of an adapter.

Values are validated at the service's edge; an adapter forwards them and adds nothing of its own. Texts that a person
wrote stay out of every repr.

Implements: ADAPT-3000.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from ._ids import CorrelationId, SessionId, TaskId


class Workload(StrEnum):
    """What kind of answer the caller wants."""

    COMPLETION = "completion"
    EMBEDDING = "embedding"
    RERANK = "rerank"


class Determinism(StrEnum):
    """How hard the engine is asked to repeat itself."""

    STRICT = "strict"
    BEST_EFFORT = "best_effort"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling parameters, forwarded exactly; None leaves the engine's own default in force."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRequest:
    """One unit of work for one engine.

    A completion has `prompt` or `messages`, never both; `embedding` uses `inputs`; `rerank` uses `prompt` as the query
    and `inputs` as the documents. `deadline_ms` is the time that is left when the request is handed over, in
    milliseconds.
    """

    task_id: TaskId
    workload: Workload = Workload.COMPLETION
    max_tokens: int = 16
    prompt: str = field(default="", repr=False)
    messages: tuple[Message, ...] = field(default=(), repr=False)
    inputs: tuple[str, ...] = field(default=(), repr=False)
    sampling: Sampling = Sampling()
    seed: int | None = None
    determinism: Determinism = Determinism.BEST_EFFORT
    sampler_profile_version: str | None = None
    session_id: SessionId | None = None
    correlation_id: CorrelationId | None = None
    model_ref: str = "default"
    reuse_kv: bool = False
    deadline_ms: int | None = None
