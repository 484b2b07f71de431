"""gRPC calls of one adapter: where they go, what they carry, and that none outlives the adapter.

Implements: ADAPT-3005, OC-ADAPT-5060.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, final

import trio

from adapter_api import AdapterError
from http_util.status import EngineReply
from http_util.stream import open_body

from . import grpc_messages
from .grpc_call import CallHead
from .grpc_frames import MessageDecoder
from .grpc_status import named
from .grpc_stream import OpenCalls, open_call
from .tensors import Unfit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from adapter_api import TaskRequest, WorkerError
    from http_util.dialling import Endpoint
    from http_util.engine import Engine
    from http_util.stream import EventStream

    from .grpc_stream import CallBody
    from .settings import TritonSettings
    from .tensors import Tensor

_PHASE = "completion"
_MOST_DIGITS = 99_999_999


@final
class GrpcTransport:
    """Makes calls to one endpoint; `engine` gives the bounds and classifies."""

    def __init__(self, endpoint: Endpoint, engine: Engine, settings: TritonSettings) -> None:
        self._endpoint = endpoint
        self._engine = engine
        self._settings = settings
        self._calls = OpenCalls()

    def __repr__(self) -> str:
        return f"<GrpcTransport open={len(self._calls)}>"

    @asynccontextmanager
    async def events(
        self, request: TaskRequest, inputs: list[Tensor], ends_at: float | None
    ) -> AsyncIterator[EventStream]:
        """Call `ModelStreamInfer` and stream the messages of the answer; see `http_util.stream.open_events`."""
        self._engine.client_for(_PHASE)  # an adapter that is closed makes no call of any kind
        settings = self._settings
        try:
            message = grpc_messages.request(settings.model, settings.model_version or "", request.task_id, inputs)
        except ValueError as wrong:
            raise AdapterError(f"{_PHASE}: {wrong}", blames_request=isinstance(wrong, Unfit)) from None
        call = self._call(self._head(request, ends_at), message)
        async with open_body(call, MessageDecoder(_PHASE), bounds=self._engine.bounds(ends_at), phase=_PHASE) as events:
            yield events

    def failure(self, body: bytes, is_first: bool) -> WorkerError:
        """Return what an error in a message means; the first message's is that of the request, without a status."""
        reply = EngineReply(500 if is_first else 200, {}, body, _PHASE)
        return named(self._engine.failure(reply), _PHASE, "message")

    async def aclose(self) -> None:
        """Close every call that is open and make no more."""
        await self._calls.aclose()

    def _call(self, head: CallHead, message: bytes) -> AbstractAsyncContextManager[CallBody]:
        return open_call(
            self._endpoint,
            self._engine.context,
            head,
            message,
            connect_s=self._engine.timeouts.connect_ms / 1000,
            phase=_PHASE,
            failure=self._engine.failure,
            calls=self._calls,
        )

    def _head(self, request: TaskRequest, ends_at: float | None) -> CallHead:
        metadata = dict(self._settings.grpc_metadata)
        if request.correlation_id is not None:
            metadata["x-correlation-id"] = request.correlation_id
        if ends_at is not None:  # so that a server that we cannot reach any more stops by itself
            metadata["grpc-timeout"] = timeout(ends_at - trio.current_time())
        return CallHead(
            authority=f"{self._endpoint.host}:{self._endpoint.port}",
            path=grpc_messages.METHOD,
            is_tls=self._endpoint.tls is not None,
            metadata=metadata,
        )


def timeout(seconds: float) -> str:
    """Return a time as the header has it: at most eight digits, and a unit."""
    milliseconds = max(round(seconds * 1000), 1)
    return f"{milliseconds}m" if milliseconds <= _MOST_DIGITS else f"{min(milliseconds // 1000, _MOST_DIGITS)}S"
