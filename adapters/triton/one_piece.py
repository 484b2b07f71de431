"""Answers in one piece, through KServe v2 infer: a completion, vectors, scores.

Triton has no routes for embeddings and rerank. A model for either is one that takes texts in rows and gives numbers in
rows; the settings name it and its tensors.

Implements: ADAPT-3000, ADAPT-3010, OC-ADAPT-5060.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from adapter_api import AdapterError, End, Workload
from http_util.engine import correlation, json_as

from . import bodies, responses
from .tensors import column

if TYPE_CHECKING:
    from adapter_api import JsonValue, Started, TaskRequest, TokenEvent

    from .reading import Reading
    from .server import Server
    from .tensors import Tensor


async def completion(server: Server, request: TaskRequest, inputs: list[Tensor], reading: Reading) -> list[TokenEvent]:
    """Return the whole stream of a completion; raise `WorkerError`."""
    response = await server.engine.call(
        server.path("/infer"),
        bodies.infer(request.task_id, inputs),
        responses.from_inferred,
        phase="completion",
        headers=correlation(request),
    )
    events = list(reading.read(response, 0))
    return [*events, *reading.end(len(events) - 1, 0)]


async def numbers(server: Server, request: TaskRequest, started: Started) -> list[TokenEvent]:
    """Return the whole stream of an embedding or a rerank; raise `WorkerError`."""
    result = await (_vectors if request.workload is Workload.EMBEDDING else _scores)(server, request)
    return [started, End(tokens_out=0, decode_time_ms=0, result=result)]


async def _vectors(server: Server, request: TaskRequest) -> JsonValue:
    model = server.settings.embedding
    if model is None:
        raise AdapterError("embedding: no model for embeddings is configured")
    texts = {model.input: list(request.inputs)}
    return await _rows(server, request, model.model, texts, model.output)


async def _scores(server: Server, request: TaskRequest) -> JsonValue:
    model = server.settings.rerank
    if model is None:
        raise AdapterError("rerank: no model for reranking is configured")
    texts = {model.query: [request.prompt] * len(request.inputs), model.document: list(request.inputs)}
    return [score for (score, *_) in await _rows(server, request, model.model, texts, model.output)]


async def _rows(
    server: Server, request: TaskRequest, model: str, texts: dict[str, list[str]], output: str
) -> list[list[float]]:
    phase = request.workload.value
    specs = await server.input_specs(model)
    unknown = texts.keys() - specs.keys()
    if unknown:
        raise AdapterError(f"{phase}: the model has no input {min(unknown)!r}")
    inputs = [column(specs[name], rows) for name, rows in texts.items()]

    def parse(body: bytes) -> list[list[float]]:
        return json_as(bodies.Numbers)(body).rows(output, len(request.inputs))

    return await server.engine.call(
        f"/v2/models/{quote(model, safe='')}/infer",
        bodies.infer(request.task_id, inputs, [output]),
        parse,
        phase=phase,
        headers=correlation(request),
    )
