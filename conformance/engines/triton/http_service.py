"""The HTTP routes of a Triton server. Checked in its order: exit, path, method, access, model, body."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, final

from conformance.engines.received import as_received, json_object

from . import replies
from .failures import Code, Refused
from .grpc_call import inflated
from .http_sinks import GenerateSink, InferSink, StreamSink, refuse
from .requests import read_generate, read_infer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter_api import JsonValue
    from conformance.engines.http1 import Exchange, SeenRequest
    from conformance.engines.received import Received

    from .models import Model
    from .repository import Repository

    Handler = Callable[[Exchange, str, str], Awaitable[None]]

_MODEL = r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[0-9]+))?"
_WORK = re.compile(rf"{_MODEL}/(infer|generate|generate_stream)")


class _Route(NamedTuple):
    method: str
    path: re.Pattern[str]
    handler: Handler


def is_work(request: SeenRequest) -> bool:
    """Return whether this is a request for work; one that stops another is not."""
    return bool(_WORK.fullmatch(request.path)) and not _STOPS.search(request.body)


def received_by(request: SeenRequest) -> Received:
    """Return a request in neutral words: an object of inputs, or for `infer` a list of tensors."""
    given = json_object(request.body)
    tensors = given.get("inputs")
    if isinstance(tensors, list):
        given = {str(each.get("name")): _value(each.get("data")) for each in tensors if isinstance(each, dict)}
    return as_received(request, given)


def _value(data: JsonValue) -> JsonValue:
    return data[0] if isinstance(data, list) and len(data) == 1 else data


_STOPS = re.compile(rb'"stop"\s*:\s*(\[\s*)*true')


@final
class HttpService:
    """What one HTTP request is answered with."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._routes = (
            _Route("GET", re.compile("/v2/health/live"), self._live),
            _Route("GET", re.compile("/v2/health/ready"), self._ready),
            _Route("GET", re.compile("/v2/?"), self._server),
            _Route("POST", re.compile("/v2/repository/index"), self._index),
            _Route("GET", re.compile("/v2/models/stats"), self._all_stats),
            _Route("GET", re.compile(_MODEL), self._metadata),
            _Route("GET", re.compile(f"{_MODEL}/ready"), self._model_ready),
            _Route("GET", re.compile(f"{_MODEL}/config"), self._config),
            _Route("GET", re.compile(f"{_MODEL}/stats"), self._stats),
            _Route("POST", re.compile(f"{_MODEL}/infer"), self._infer),
            _Route("POST", re.compile(f"{_MODEL}/generate"), self._generate),
            _Route("POST", re.compile(f"{_MODEL}/generate_stream"), self._generate_stream),
        )

    async def respond(self, exchange: Exchange) -> None:
        """Answer one request."""
        try:
            await self._route(exchange)
        except Refused as refused:
            await refuse(exchange, refused)

    async def _route(self, exchange: Exchange) -> None:
        if self._repository.is_exiting:
            raise Refused("Server exiting", Code.UNAVAILABLE)
        matches = [(route, found) for route in self._routes if (found := route.path.fullmatch(exchange.request.path))]
        if not matches:
            await refuse(exchange, Refused("Not Found", Code.NOT_FOUND), replies.PLAIN)
            return
        route, found = matches[0]
        if route.method != exchange.request.method:
            is_generate = route.handler in {self._generate, self._generate_stream}
            content_type = replies.JSON if is_generate else replies.PLAIN
            await refuse(exchange, Refused("Method Not Allowed", status=405), content_type)
            return
        names = found.groupdict()
        await route.handler(exchange, names.get("model") or "", names.get("version") or "")

    async def _live(self, exchange: Exchange, _model: str, _version: str) -> None:
        await _empty(exchange, 200)

    async def _ready(self, exchange: Exchange, _model: str, _version: str) -> None:
        await _empty(exchange, 200 if self._repository.is_ready else 400)

    async def _server(self, exchange: Exchange, _model: str, _version: str) -> None:
        await _ok(exchange, replies.server(self._repository.settings.version))

    async def _index(self, exchange: Exchange, _model: str, _version: str) -> None:
        models = self._repository.models.values()
        await _ok(exchange, replies.index(models, is_ready=self._repository.is_ready))

    async def _metadata(self, exchange: Exchange, model: str, version: str) -> None:
        await _ok(exchange, replies.metadata(self._repository.find(model, version)))

    async def _model_ready(self, exchange: Exchange, model: str, version: str) -> None:
        if self._repository.has_ready(model, version):
            await _empty(exchange, 200)
        else:
            await refuse(exchange, Refused("Model version not ready"), replies.PLAIN)

    async def _config(self, exchange: Exchange, model: str, version: str) -> None:
        await _ok(exchange, replies.config(self._repository.find(model, version)))

    async def _stats(self, exchange: Exchange, model: str, version: str) -> None:
        found = self._repository.counted(model, version)
        await _ok(exchange, {"model_stats": [_entry(self._repository, found)]})

    async def _all_stats(self, exchange: Exchange, _model: str, _version: str) -> None:
        models = self._repository.models.values()
        await _ok(exchange, {"model_stats": [_entry(self._repository, model) for model in models]})

    async def _infer(self, exchange: Exchange, model: str, version: str) -> None:
        found = self._admitted(exchange, model, version)
        if found.is_decoupled:
            text = "HTTP end point doesn't support models with decoupled transaction policy"
            await refuse(exchange, Refused(text, Code.UNSUPPORTED), replies.PLAIN)
            return
        body = _body(exchange.request, self._repository.settings.max_body)
        request = read_infer(body, _json_size(exchange.request), found)
        sink = InferSink(exchange, request)
        await self._repository.infer(exchange, request, sink, sink.wire)

    async def _generate(self, exchange: Exchange, model: str, version: str) -> None:
        request = read_generate(_plain_body(exchange.request), self._admitted(exchange, model, version))
        sink = GenerateSink(exchange, request)
        await self._repository.infer(exchange, request, sink, sink.wire)

    async def _generate_stream(self, exchange: Exchange, model: str, version: str) -> None:
        request = read_generate(_plain_body(exchange.request), self._admitted(exchange, model, version))
        sink = StreamSink(exchange, request)
        await self._repository.infer(exchange, request, sink, sink.wire)

    def _admitted(self, exchange: Exchange, model: str, version: str) -> Model:
        settings = self._repository.settings
        header = settings.restricted_header
        if header is not None and header.lower() not in exchange.request.headers:
            raise Refused(f"This API is restricted, expecting header '{header}'", Code.RESTRICTED)
        found = self._repository.find(model, version)
        size = len(exchange.request.body)
        if size > settings.max_body:
            raise Refused(f"Request JSON size of {size} bytes exceeds the maximum allowed input size")
        return found


def _entry(repository: Repository, model: Model) -> object:
    tally = repository.tally_of(model)
    return {**tally.fields(model.name), "response_stats": {}, "batch_stats": tally.batches, "memory_usage": []}


def _plain_body(request: SeenRequest) -> bytes:
    encoding = request.headers.get("content-encoding", "identity")
    if encoding not in {"", "identity"}:
        raise Refused("Unsupported content-encoding, only 'identity' is supported.")
    return request.body


def _body(request: SeenRequest, most_bytes: int) -> bytes:
    encoding = request.headers.get("content-encoding", "identity")
    return inflated(request.body, encoding, most_bytes) if encoding in {"gzip", "deflate"} else _plain_body(request)


def _json_size(request: SeenRequest) -> int | None:
    size = request.headers.get("inference-header-content-length")
    if size is not None and not size.isdecimal():
        raise Refused(f"Unable to parse Inference-Header-Content-Length, got: {size}")
    return None if size is None else int(size)


async def _ok(exchange: Exchange, value: object) -> None:
    await exchange.answer(200, replies.dump(value), replies.JSON)


async def _empty(exchange: Exchange, status: int) -> None:
    await exchange.answer(status, b"", replies.PLAIN)
