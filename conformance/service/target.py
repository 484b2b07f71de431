"""What is put to the test, and what it told about itself when it was first asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .client import Dial

_USUAL_CTX = 2048
_PROMPT_ROOM = 128
"""Tokens left for the kit's prompts, which are a sentence long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A service, and how it is to be spoken to.

    `options` are those of the command line that say the same, for whoever tries it again; no secret is in them.
    `max_tokens` is how long an answer is asked for where it must not be over too soon; `fill` bounds the tasks that are
    sent to fill a queue. The last three say how the service is configured where that differs from the documents.
    """

    dial: Dial
    authority: str
    name: str
    prefix: str = ""
    token: str = ""
    options: str = ""
    engine: str = ""
    model: str = ""
    max_tokens: int = 256
    fill: int = 128
    patience_s: float = 10.0
    resume_window_ms: int = 0
    runs_on: bool = False
    auth_optional: bool = False

    def __repr__(self) -> str:
        return f"<Target {self.name}>"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may be in nothing that is told."""
        return (self.token,) if self.token else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The pool that tasks are sent to, as the capabilities tell it; None or empty where they do not."""

    engine: str
    model: str
    pool_id: str = ""
    pools: tuple[str, ...] = ()
    ctx: int = _USUAL_CTX
    ctx_max: int | None = None
    max_tokens_out: int | None = None
    features: tuple[str, ...] = ()
    max_tokens: int
    concurrency: int | None = None
    queue_capacity: int | None = None
    round_trip_s: float = 0.0

    @property
    def settle_s(self) -> float:
        """How long what was sent before an answer may still be under way when the answer is read."""
        return 20 * self.round_trip_s


def facts_from(target: Target, capabilities: Mapping[str, object], round_trip_s: float) -> Facts:
    """Choose the pool; what was given on the command line wins over what is told."""
    told = capabilities.get("engines")
    pools = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    pool = next((each for each in pools if _suits(each, target)), {})
    models = [each for each in _list(pool.get("models")) if isinstance(each, str)]
    ctx_max = _count(pool.get("ctx_max"))
    ctx = min(_USUAL_CTX, ctx_max or _USUAL_CTX)
    limits = pool.get("rate_limits")
    return Facts(
        engine=target.engine or str(pool.get("engine", "mock")),
        model=target.model or ("default" if not models or "default" in models else models[0]),
        pool_id=str(pool.get("pool_id", "")),
        pools=tuple(str(each["pool_id"]) for each in pools if "pool_id" in each),
        ctx=ctx,
        ctx_max=ctx_max,
        max_tokens_out=_count(pool.get("max_tokens_out")),
        features=tuple(str(each) for each in _list(pool.get("features"))),
        max_tokens=max(1, min(target.max_tokens, _count(pool.get("max_tokens_out")) or ctx, ctx - _PROMPT_ROOM)),
        concurrency=_count(pool.get("concurrency")),
        queue_capacity=_count(limits.get("queue_capacity")) if isinstance(limits, dict) else None,
        round_trip_s=round_trip_s,
    )


def _suits(pool: Mapping[str, object], target: Target) -> bool:
    workloads = _list(pool.get("supported_workloads"))
    fits = not workloads or "completion" in workloads
    is_asked = target.engine in {"", pool.get("engine")}
    return fits and is_asked and (not target.model or target.model in _list(pool.get("models")))


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
