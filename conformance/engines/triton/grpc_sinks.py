"""How responses leave over gRPC: as messages of one bidirectional stream, or as the one message of a call.

Many requests share a stream; each response carries the id of its request. An error is a message too, and ends nothing
but its own request, unless the client's metadata wants it as the status of the whole stream. Whether a response is the
last one is a parameter of it; an empty last one is sent only to those who ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from . import tensors
from .models import PERMANENT_VERSION
from .protobuf import encode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.engines.http1 import Headers

    from .failures import Refused
    from .grpc_call import Call
    from .protobuf import Fields, Value
    from .requests import InferRequest
    from .tensors import Tensor

_WANTS_EMPTY_LAST = "triton_enable_empty_final_response"
_WANTS_STATUS = "triton_grpc_error"


def response(request: InferRequest, outputs: Iterable[Tensor], *, is_last: bool | None = None) -> Fields:
    """Return a `ModelInferResponse`; `is_last` becomes its parameter."""
    wanted = [tensor for tensor in outputs if not request.outputs or tensor.name in request.outputs]
    fields: dict[str, Value] = {
        "model_name": request.model.name,
        "model_version": PERMANENT_VERSION if wanted else "",
        "id": request.id,
        "outputs": [{"name": each.name, "datatype": each.datatype, "shape": each.shape} for each in wanted],
        "raw_output_contents": [tensors.to_raw(each) for each in wanted],
    }
    if is_last is not None:
        fields["parameters"] = {"triton_final_response": {"bool_param": is_last}}
    return fields


async def fail_in_stream(call: Call, about: Fields, failure: Refused) -> None:
    """Report a failure of one request of a stream; `about` are fields of the response that is none."""
    if failure.ends_call or call.metadata.get(_WANTS_STATUS) == "true":
        await call.fail(failure)
    else:
        await call.send(encode("ModelStreamInferResponse", {"error_message": failure.message, "infer_response": about}))


@final
class GrpcWire:
    """What a script writes to: the body of the call as raw bytes, and its end."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def split_at(self, sizes: tuple[int, ...]) -> None:
        self._call.exchange.split_at(sizes)

    def cut_after(self, size: int) -> None:
        self._call.exchange.cut_after(size)

    def hold(self) -> None:
        self._call.exchange.hold()

    async def release(self) -> None:
        await self._call.exchange.release()

    async def start(self, status: int, content_type: str, headers: Headers = ()) -> None:
        await self._call.exchange.start(status, content_type, headers)

    async def send(self, data: bytes) -> None:
        await self._call.start()
        await self._call.exchange.send(data)

    async def answer(self, status: int, body: bytes, content_type: str, headers: Headers = ()) -> None:
        await self._call.exchange.answer(status, body, content_type, headers)

    async def end(self, *, closes: bool = False) -> None:
        await self._call.finish()

    async def cut(self) -> None:
        await self._call.exchange.cut()

    def reset(self) -> None:
        self._call.exchange.reset()


class _GrpcSink:
    """What both have in common: a cancelled call is known at once."""

    notices_at_once = True

    def __init__(self, call: Call, request: InferRequest) -> None:
        self._call = call
        self._request = request
        self.wire = GrpcWire(call)

    @property
    def is_started(self) -> bool:
        return self._call.exchange.is_started

    @property
    def is_gone(self) -> bool:
        return self._call.exchange.gone.is_set()


@final
class StreamMessages(_GrpcSink):
    """`ModelStreamInfer`."""

    def __init__(self, call: Call, request: InferRequest) -> None:
        super().__init__(call, request)
        self._has_last = False

    async def respond(self, outputs: tuple[Tensor, ...], *, is_last: bool) -> None:
        self._has_last = is_last
        await self._send({"infer_response": response(self._request, outputs, is_last=is_last)})

    async def fail(self, failure: Refused) -> None:
        await fail_in_stream(self._call, {"id": self._request.id}, failure)

    async def refuse(self, failure: Refused) -> None:
        await self.fail(failure)

    async def complete(self) -> None:
        if self._request.parameters.get(_WANTS_EMPTY_LAST) is True and not self._has_last:
            await self._send({"infer_response": response(self._request, (), is_last=True)})

    async def _send(self, fields: Fields) -> None:
        await self._call.send(encode("ModelStreamInferResponse", fields))


@final
class OneMessage(_GrpcSink):
    """`ModelInfer`."""

    def __init__(self, call: Call, request: InferRequest) -> None:
        super().__init__(call, request)
        self._outputs: tuple[Tensor, ...] = ()

    async def respond(self, outputs: tuple[Tensor, ...], *, is_last: bool) -> None:
        self._outputs = outputs

    async def fail(self, failure: Refused) -> None:
        await self._call.fail(failure)

    async def refuse(self, failure: Refused) -> None:
        await self._call.fail(failure)

    async def complete(self) -> None:
        await self._call.send(encode("ModelInferResponse", response(self._request, self._outputs)))
        await self._call.finish()
