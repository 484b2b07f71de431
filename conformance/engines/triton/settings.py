"""How the Triton double was started."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .models import GENERATORS, embedder, identity, ranker

if TYPE_CHECKING:
    from .models import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonSettings:
    """How the server was started; times in seconds.

    `dialect` (`classic`, `bls`, `llmapi`, `vllm`) picks the model that generates text, `model` renames it; `further`
    are models on top of those every double has. `slots` requests are worked on at a time; the queue behind them has no
    end unless `max_queue_size` says so, and no time limit unless `queue_timeout_s` does.

    `prefill_s` is the time a prompt takes, `token_s` the time a made-up token takes. `release_s` is how often a model
    looks whether it was cancelled. A client that leaves before the first response is noticed when that response is
    written; `notices_s` after it left at the latest, as if a model that is silent in the script had written by then.

    `max_input` is the most tokens a prompt may have, `max_body` the most bytes of a request. `restricted_header` is the
    header without which inference is refused. With `flags_last` the last response of a gRPC stream is marked as such;
    else an empty one follows for those who ask. A model that is not `is_decoupled` gives one response to each request
    and takes `infer`. With `can_stop` the classic pipeline stops a request on a second one with its id and `stop`.
    """

    dialect: str = "classic"
    model: str = ""
    version: str = "2.73.0"
    slots: int = 4
    max_queue_size: int = 0
    queue_timeout_s: float | None = None
    prefill_s: float = 0.0
    token_s: float = 0.0
    release_s: float = 0.125
    notices_s: float | None = None
    max_input: int = 2048
    max_body: int = 64 * 1024 * 1024
    restricted_header: str | None = None
    flags_last: bool = False
    can_stop: bool = True
    is_decoupled: bool = True
    further: tuple[Model, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.dialect not in GENERATORS:
            raise ValueError(f"dialect {self.dialect!r} is none of {', '.join(GENERATORS)}")

    @property
    def models(self) -> tuple[Model, ...]:
        """The repository; the first is the model that generates text."""
        generators = GENERATORS[self.dialect](self.model, self.can_stop)
        first = replace(generators[0], is_decoupled=self.is_decoupled)
        return (first, *generators[1:], identity(), embedder(), ranker(), *self.further)
