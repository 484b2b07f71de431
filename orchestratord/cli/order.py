"""What `run` asks for, as the body of `POST /v1/tasks`.

The contract wants an engine and a context size; a person at a terminal does not. Where they are not given they come
from what the daemon says it serves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from .start import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .daemon import ServedPool

_CTX_UNKNOWN = 2048
_DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One completion to ask for."""

    prompt: str = field(repr=False)
    max_tokens: int = 128
    deadline_ms: int = 120_000
    seed: int | None = None
    temperature: float | None = None
    model: str | None = None
    engine: str | None = None
    ctx: int | None = None
    chat: bool = False
    task_id: str = field(default_factory=lambda: str(uuid4()))

    def body(self, pools: Sequence[ServedPool]) -> dict[str, object]:
        """The `TaskRequest`; raises `CommandFailed` if no pool serves the model."""
        pool, model = self._choose(pools)
        given = {
            "seed": self.seed,
            "sampling": None if self.temperature is None else {"temperature": self.temperature},
            "messages": [{"role": "user", "content": self.prompt}] if self.chat else None,
            "prompt": None if self.chat else self.prompt,
        }
        return {
            "task_id": self.task_id,
            "session_id": str(uuid4()),
            "workload": "completion",
            "model_ref": model,
            "engine": self.engine or pool.engine,
            "ctx": self.ctx or pool.ctx_max or _CTX_UNKNOWN,
            "priority": "interactive",
            "max_tokens": self.max_tokens,
            "deadline_ms": self.deadline_ms,
            **{name: value for name, value in given.items() if value is not None},
        }

    def _choose(self, pools: Sequence[ServedPool]) -> tuple[ServedPool, str]:
        """Return the pool to ask and a name of its model; an engine alone means the first pool of it."""
        model = self.model or _DEFAULT
        fitting = [pool for pool in pools if self.engine in {None, pool.engine}]
        for pool in fitting:
            if model in pool.models:
                return pool, model
        if self.engine is not None and not fitting:
            engines = ", ".join(sorted({pool.engine for pool in pools})) or "nothing"
            raise CommandFailed(f"no pool has the engine {self.engine!r}. Served here: {engines}")
        if self.engine is not None and self.model is None and fitting[0].models:
            return fitting[0], fitting[0].models[0]
        served = ", ".join(sorted({f"{name} ({pool.engine})" for pool in pools for name in pool.models})) or "nothing"
        raise CommandFailed(f"no pool serves the model {model!r}. Served here: {served}. Choose one with --model")
