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


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One completion to ask for."""

    prompt: str = field(repr=False)
    max_tokens: int = 128
    deadline_ms: int = 120_000
    seed: int | None = None
    temperature: float | None = None
    model: str = "default"
    engine: str | None = None
    ctx: int | None = None
    chat: bool = False
    task_id: str = field(default_factory=lambda: str(uuid4()))

    def body(self, pools: Sequence[ServedPool]) -> dict[str, object]:
        """The `TaskRequest`; raises `CommandFailed` if no pool serves the model."""
        pool = self._choose(pools)
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
            "model_ref": self.model,
            "engine": self.engine or pool.engine,
            "ctx": self.ctx or pool.ctx_max or _CTX_UNKNOWN,
            "priority": "interactive",
            "max_tokens": self.max_tokens,
            "deadline_ms": self.deadline_ms,
            **{name: value for name, value in given.items() if value is not None},
        }

    def _choose(self, pools: Sequence[ServedPool]) -> ServedPool:
        fitting = [pool for pool in pools if self.engine in {None, pool.engine}]
        for pool in fitting:
            if self.model in pool.models:
                return pool
        served = ", ".join(sorted({f"{name} ({pool.engine})" for pool in pools for name in pool.models})) or "nothing"
        raise CommandFailed(f"no pool serves the model {self.model!r}. Served here: {served}. Choose one with --model")
