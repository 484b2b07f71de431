"""What a pool serves, as far as its replicas have told: models, limits, workloads, version.

What is configured goes before what is told, and a replica that is kept out for being different has no say.

Implements: OC-CORE-1012, OC-CORE-1013, OC-CTRL-2060.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from adapter_api import Capabilities, Workload

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from adapter_api import JsonValue
    from orchestratord.config import PoolConfig

    from .replica import Replica


@final
class Served:
    """Derived from the replicas at each question."""

    def __init__(self, config: PoolConfig, replicas: Collection[Replica]) -> None:
        self._config = config
        self._replicas = replicas

    @property
    def model_refs(self) -> frozenset[str]:
        """Everything a `model_ref` may say to mean this pool."""
        told = {known.model_digest for known in self._capabilities() if known.model_digest}
        return frozenset({*self._config.answers_to(), *told})

    @property
    def ctx_max(self) -> int | None:
        """The context size in tokens: as configured, else the smallest any replica reports."""
        return self._config.ctx_max or min(
            (known.ctx_max for known in self._capabilities() if known.ctx_max), default=None
        )

    @property
    def max_tokens_out(self) -> int | None:
        """The most tokens one task may ask for: as configured, else as reported."""
        told = min((known.max_tokens_out for known in self._capabilities() if known.max_tokens_out), default=None)
        return self._config.max_tokens_out or told

    @property
    def workloads(self) -> frozenset[Workload]:
        """What any replica serves; before one has answered, completion."""
        return frozenset[Workload]().union(*(known.workloads for known in self._capabilities())) or frozenset({
            Workload.COMPLETION
        })

    @property
    def engine_version(self) -> str | None:
        """What the first replica that has answered says it runs."""
        known = next(self._capabilities(), None)
        return known.engine_version if known is not None else None

    @property
    def features(self) -> frozenset[str]:
        """What any replica can do beyond its workloads."""
        return frozenset[str]().union(*(known.features for known in self._capabilities()))

    def facts(self) -> dict[str, JsonValue]:
        """Return what is known of the engine, under the names of the `started` frame."""
        known = next(self._capabilities(), None)
        fields: dict[str, JsonValue] = {
            "engine": self._config.engine,
            "pool_id": self._config.id,
            "engine_version": known.engine_version if known else None,
            "model_digest": known.model_digest if known else None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def _capabilities(self) -> Iterator[Capabilities]:
        return (
            replica.capabilities
            for replica in self._replicas
            if replica.capabilities is not None and not replica.misfit
        )
