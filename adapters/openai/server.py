"""One server of the OpenAI kind: what it says of itself, and what is remembered of that.

The list of models is all there is to ask for. A server without one is taken for ready if the settings name the model.

Implements: ADAPT-3000, ADAPT-3012, OC-ADAPT-OAI-6002, OC-ADAPT-OAI-6010.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, final

from adapter_api import AdapterError, Capabilities, WorkerError, WorkerHealth, Workload
from http_util.engine import RETRY, ill_health, json_as
from http_util.openai_api.models import Models, shown
from http_util.remembered import Remembered

if TYPE_CHECKING:
    from http_util.backoff import RetryPolicy
    from http_util.engine import Engine

    from .settings import OpenAISettings

FEATURES = frozenset({"cancel", "chat"})
_NO_LIST = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_NO_FIELDS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The model that is asked for and its context in tokens; None is unknown."""

    model: str | None
    ctx: int | None


@final
class Server:
    """The server behind `engine`."""

    def __init__(self, engine: Engine, settings: OpenAISettings) -> None:
        self.engine = engine
        self.settings = settings
        self.memory = Remembered(self._ask)
        self._last_version: str | None = None

    def __repr__(self) -> str:
        return f"<Server {self.memory.value}>"

    def version_of(self, told: str | None) -> str | None:
        """Return the version of an answer that tells of itself by `told`, and remember it for the reports.

        Reports and answers have to agree: another version means to the service that another engine is there.
        """
        self._last_version = self.settings.engine_version or told or self._last_version
        return self._last_version

    async def model(self) -> str | None:
        """Return the model to ask for, None if neither the settings nor the server tell."""
        if self.settings.model is not None:
            return self.settings.model
        facts = await self.memory.known()
        return None if facts is None else facts.model

    async def health(self) -> WorkerHealth:
        """Return whether the server answers and can work; whatever is wrong with it is a report."""
        try:
            await self._list(retry=None)
        except WorkerError as failure:
            self.memory.doubt()
            self._last_version = None
            return ill_health(failure)
        return WorkerHealth(live=True, ready=True)

    async def version(self) -> str:
        """Return the settings' word, else what the last answer told, else the model's name; raise `WorkerError`."""
        facts = await self.memory.learn()
        version = self.settings.engine_version or self._last_version or (facts.model and shown(facts.model))
        if not version:
            raise AdapterError("models: the server lists no model")
        return version

    async def capabilities(self) -> Capabilities:
        """Return what the server serves, as far as it tells; raise `WorkerError`."""
        version = await self.version()
        facts = self.memory.value or EngineFacts(None, None)
        ctx_max = min((size for size in (facts.ctx, self.settings.ctx_max) if size is not None), default=None)
        return Capabilities(
            engine="openai",
            engine_version=version,
            model=shown(facts.model or "unknown"),
            model_digest=self.settings.model_digest,
            ctx_max=ctx_max,
            max_tokens_out=ctx_max,
            workloads=await self._workloads(),
            features=self._features(),
        )

    def _features(self) -> frozenset[str]:
        if self.settings.api == "responses":
            return FEATURES
        return FEATURES | {"stop"} | ({"seed"} if self.settings.takes_seed else set())

    async def _workloads(self) -> frozenset[Workload]:
        """Return what is served; the route for embeddings, if there is one, finds fault with an empty request."""
        if self.settings.workloads is not None:
            return frozenset(map(Workload, self.settings.workloads))
        try:
            await self.engine.call("/embeddings", {}, bytes, phase="capabilities", bounds_s=self.engine.report_s)
        except AdapterError as refusal:
            if refusal.upstream_status not in _NO_FIELDS:
                return frozenset({Workload.COMPLETION})
        return frozenset({Workload.COMPLETION, Workload.EMBEDDING})

    async def _ask(self) -> EngineFacts:
        models = await self._list()
        wanted = self.settings.model
        model = models.named(wanted)
        return EngineFacts(wanted, None) if model is None else EngineFacts(model.id, model.max_model_len or None)

    async def _list(self, *, retry: RetryPolicy | None = RETRY) -> Models:
        try:
            return await self.engine.report("/models", json_as(Models), retry=retry)
        except AdapterError as refusal:
            if self.settings.model is None or refusal.upstream_status not in _NO_LIST:
                raise
            return Models([])
