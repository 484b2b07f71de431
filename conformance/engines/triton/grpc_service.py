"""The methods of `inference.GRPCInferenceService`, as far as the official client's everyday calls need them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

import trio

from conformance.engines.received import of_parts

from . import replies
from .failures import Code, Refused
from .grpc_call import Call
from .grpc_sinks import OneMessage, StreamMessages, fail_in_stream
from .protobuf import SCHEMA, NotProtobuf, decode, encode
from .requests import read_message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from conformance.engines.http2 import Http2Exchange
    from conformance.engines.received import Received

    from .models import Model
    from .protobuf import Fields
    from .repository import Repository

    Report = Callable[[Fields], Fields]

SERVICE = "/inference.GRPCInferenceService/"
_MOST_BYTES = 2**31 - 1


@final
class GrpcService:
    """What one call is answered with."""

    def __init__(self, repository: Repository, note_work: Callable[[Received], None]) -> None:
        self._repository = repository
        self._note_work = note_work
        self._reports: dict[str, Report] = {
            "ServerLive": lambda _asked: {"live": True},
            "ServerReady": lambda _asked: {"ready": repository.is_ready},
            "ModelReady": self._model_ready,
            "ServerMetadata": lambda _asked: cast("Fields", replies.server(repository.settings.version)),
            "ModelMetadata": lambda asked: cast("Fields", replies.metadata(self._find(asked))),
            "ModelConfig": lambda asked: {"config": _config(self._find(asked))},
            "ModelStatistics": self._statistics,
            "RepositoryIndex": self._index,
        }
        self._calls: dict[str, Callable[[Call], Awaitable[None]]] = {
            "ModelInfer": self._infer,
            "ModelStreamInfer": self._stream_infer,
        }

    async def respond(self, exchange: Http2Exchange) -> None:
        """Answer one call; a failure becomes its status."""
        call = Call(exchange, _MOST_BYTES)
        name = exchange.request.path.removeprefix(SERVICE)
        try:
            if name in self._calls:
                self._check_access(call)
                await self._calls[name](call)
            elif name in self._reports:
                await self._report(call, name)
            else:
                raise Refused("", Code.UNSUPPORTED)
        except NotProtobuf as wrong:
            await call.fail(Refused(f"Error parsing request: {wrong}", Code.INTERNAL))
        except Refused as refused:
            await call.fail(refused)

    async def _report(self, call: Call, name: str) -> None:
        message = await call.receive()
        reply = self._reports[name](decode(f"{name}Request", message or b""))
        await call.send(encode(f"{name}Response", reply))
        await call.finish()

    async def _infer(self, call: Call) -> None:
        message = await call.receive() or b""
        asked = decode("ModelInferRequest", message)
        self._note_work(of_parts(message, call.metadata, {}))
        model = self._find_for_work(asked)
        if model.is_decoupled:
            text = "ModelInfer RPC doesn't support models with decoupled transaction policy"
            raise Refused(text, Code.UNSUPPORTED)
        request = read_message(asked, model)
        sink = OneMessage(call, request)
        await self._repository.infer(call.exchange, request, sink, sink.wire)

    async def _stream_infer(self, call: Call) -> None:
        async with trio.open_nursery() as nursery:
            while (message := await call.receive()) is not None:
                nursery.start_soon(self._one_of_stream, call, message, nursery.cancel_scope)
        await call.finish()

    async def _one_of_stream(self, call: Call, message: bytes, stream: trio.CancelScope) -> None:
        asked = decode("ModelInferRequest", message)
        try:
            request = read_message(asked, self._find_for_work(asked))
            if not request.flag("stop"):
                self._note_work(of_parts(message, call.metadata, request.plain()))
            sink = StreamMessages(call, request)
            await self._repository.infer(call.exchange, request, sink, sink.wire)
        except Refused as refused:
            await fail_in_stream(call, {"id": asked["id"]}, refused)
        if call.exchange.is_ended:
            stream.cancel()

    def _check_access(self, call: Call) -> None:
        header = f"triton-grpc-protocol-{self._repository.settings.restricted_header}".lower()
        if self._repository.settings.restricted_header is not None and header not in call.metadata:
            raise Refused(f"This protocol is restricted, expecting header '{header}'", Code.RESTRICTED)

    def _find_for_work(self, asked: Fields) -> Model:
        if self._repository.is_exiting:
            raise Refused("Server exiting", Code.UNAVAILABLE)
        return self._repository.find(str(asked["model_name"]), str(asked["model_version"]))

    def _find(self, asked: Fields) -> Model:
        return self._repository.find(str(asked["name"]), str(asked["version"]))

    def _model_ready(self, asked: Fields) -> Fields:
        return {"ready": self._repository.has_ready(str(asked["name"]), str(asked["version"]))}

    def _statistics(self, asked: Fields) -> Fields:
        name = str(asked["name"])
        models = [self._repository.counted(name, str(asked["version"]))] if name else self._repository.models.values()
        return {"model_stats": [self._repository.tally_of(model).fields(model.name) for model in models]}

    def _index(self, _asked: Fields) -> Fields:
        entries = replies.index(self._repository.models.values(), is_ready=self._repository.is_ready)
        return cast("Fields", {"models": entries})


def _known(message: str, given: Mapping[str, object]) -> Fields:
    """Return the fields that our part of the message has."""
    return cast("Fields", {name: given[name] for name in SCHEMA[message] if name in given})


def _config(model: Model) -> Fields:
    config = dict(_known("ModelConfig", replies.config(model)))
    for name, message, specs in (("input", "ModelInput", model.inputs), ("output", "ModelOutput", model.outputs)):
        entries = cast("list[dict[str, object]]", config[name])
        types = [replies.data_type(spec.datatype) for spec in specs]
        config[name] = [
            _known(message, {**entry, "data_type": kind}) for entry, kind in zip(entries, types, strict=True)
        ]
    return config
