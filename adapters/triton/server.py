"""One model on one Triton server, and what is remembered of both.

A model is asked for by its name, with its version only where the settings name one. Statistics and configuration are
extensions that a server may not have; what they would tell is unknown then.

Implements: ADAPT-3003, ADAPT-3005, OC-ADAPT-5060, OC-ADAPT-5070.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar, final
from urllib.parse import quote

from adapter_api import AdapterError
from http_util.dialling import Endpoint, tls_context
from http_util.engine import json_as
from http_util.remembered import Remembered

from . import bodies, dialects, reports
from .settings import DialectName, TextMode
from .texts import Cumulative, Delta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from http_util.engine import Engine

    from .dialects import Dialect
    from .reports import EngineFacts
    from .settings import TritonSettings
    from .tensors import TensorSpec
    from .texts import Pieces

T = TypeVar("T")


@final
class Server:
    """The server behind `engine`; `metrics` is its listener for metrics, `memory` holds the facts about the model."""

    def __init__(self, engine: Engine, metrics: Engine | None, settings: TritonSettings) -> None:
        self.engine = engine
        self.metrics = metrics
        self.settings = settings
        self.memory = Remembered(self._ask)
        self._inferences = 0
        self._specs: dict[str, Remembered[Mapping[str, TensorSpec]]] = {}

    def __repr__(self) -> str:
        return f"<Server {self.engine!r}>"

    def path(self, route: str) -> str:
        """Return the path of a route of the model that completes."""
        version = self.settings.model_version
        return f"{_model(self.settings.model)}{f'/versions/{version}' if version else ''}{route}"

    async def facts(self) -> EngineFacts:
        """Return what is known of the model, asking if nothing is; raise `WorkerError`."""
        return await self.memory.known() or await self.memory.learn()

    def dialect(self, facts: EngineFacts) -> Dialect:
        """Return how the model is talked to; raise `AdapterError` if nobody knows."""
        named = self.settings.dialect
        return dialects.dialect_of(facts.inputs) if named is DialectName.AUTO else dialects.DIALECTS[named.value]

    def pieces(self, facts: EngineFacts, dialect: Dialect) -> Pieces:
        """Return what makes new text of the model's responses."""
        mode = self.settings.text
        repeats = dialect.is_cumulative or facts.accumulates
        return Cumulative() if mode is TextMode.CUMULATIVE or (mode is TextMode.AUTO and repeats) else Delta()

    async def input_specs(self, model: str) -> Mapping[str, TensorSpec]:
        """Return the inputs of another model, remembered until it is doubted; raise `WorkerError`."""
        memory = self._specs.setdefault(model, Remembered(partial(self._ask_inputs, model)))
        return await memory.known() or await memory.learn()

    def doubt(self, model: str) -> None:
        """Ask anew for the inputs of a model before the next request to it."""
        if model in self._specs:
            self._specs[model].doubt()

    async def stop(self, request_id: str) -> None:
        """Tell the model that stops requests to stop this one; raise `WorkerError`."""
        model = self.settings.stop_model or self.settings.model
        fields = dialects.stop(await self.input_specs(model))
        path = f"{_model(model)}/generate_stream"
        await self.engine.call(path, bodies.generate(request_id, fields), bytes, phase="stop")

    async def statistics(self) -> reports.Statistics | None:
        """Return the model's statistics, None if the server has none; raise `WorkerError` if it is away.

        A count that went back means another process.
        """
        found = await self._extension("/stats", json_as(reports.Statistics))
        if found is not None:
            if found.inferences < self._inferences:
                self.memory.doubt()
            self._inferences = found.inferences
        return found

    def grpc_endpoint(self) -> Endpoint:
        """Return where gRPC calls go; `OSError` for a PEM file that cannot be read."""
        host, port, is_tls = self.settings.grpc_address
        return Endpoint(host, port, tls_context(self.settings.verify_tls, "h2") if is_tls else None)

    async def _ask(self) -> EngineFacts:
        report = self.engine.report
        metadata = await report(self.path(""), json_as(reports.Metadata), phase="metadata")
        server = await report("/v2", json_as(reports.Server), phase="server")
        config = await self._extension("/config", json_as(reports.Config))
        statistics = await self.statistics()
        newest = metadata.newest if statistics is None else statistics.newest
        trt_llm = self.settings.tensorrt_llm_version or (None if config is None else config.trt_llm_version)
        return reports.EngineFacts(
            version=self.settings.engine_version
            or reports.version_of(server, metadata.name, self.settings.model_version or newest, trt_llm),
            model=metadata.name,
            inputs=metadata.input_specs,
            is_decoupled=config is None or config.model_transaction_policy.decoupled,
            accumulates=config is not None and config.accumulates,
        )

    async def _ask_inputs(self, model: str) -> Mapping[str, TensorSpec]:
        metadata = await self.engine.report(_model(model), json_as(reports.Metadata), phase="metadata")
        return metadata.input_specs

    async def _extension(self, route: str, parse: Callable[[bytes], T]) -> T | None:
        try:
            return await self.engine.report(self.path(route), parse, phase=route.strip("/"))
        except AdapterError:
            return None


def _model(name: str) -> str:
    return f"/v2/models/{quote(name, safe='')}"
