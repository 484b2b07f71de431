"""How responses leave over HTTP: a stream of events, one generate answer, one infer answer.

The head goes out with the first response, and its status is that response's: an error that comes first is an error
status with an event in its body. A model that gives any number of responses but one answers `generate` with 200 and an
error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from . import replies

if TYPE_CHECKING:
    from conformance.engines.http1 import Exchange, Headers
    from conformance.engines.play import Wire

    from .failures import Refused
    from .requests import InferRequest
    from .tensors import Tensor

_ONE = (
    "generate expects model to produce exactly 1 response, use generate stream for model that generates various number "
    "of responses"
)


async def refuse(exchange: Exchange, failure: Refused, content_type: str = replies.JSON) -> None:
    """Answer with an error body."""
    await exchange.answer(failure.status, replies.error(failure.message), content_type)


@final
class LateHead:
    """A wire whose head goes out with the first thing that is written."""

    def __init__(self, exchange: Exchange, content_type: str) -> None:
        self._exchange = exchange
        self._content_type = content_type

    def split_at(self, sizes: tuple[int, ...]) -> None:
        self._exchange.split_at(sizes)

    def cut_after(self, size: int) -> None:
        self._exchange.cut_after(size)

    def hold(self) -> None:
        self._exchange.hold()

    async def release(self) -> None:
        await self._exchange.release()

    async def start(self, status: int, content_type: str, headers: Headers = ()) -> None:
        await self._exchange.start(status, content_type, headers)

    async def send(self, data: bytes) -> None:
        await self._begin()
        await self._exchange.send(data)

    async def answer(self, status: int, body: bytes, content_type: str, headers: Headers = ()) -> None:
        await self._exchange.answer(status, body, content_type, headers)

    async def end(self, *, closes: bool = False) -> None:
        await self._begin()
        await self._exchange.end(closes=closes)

    async def cut(self) -> None:
        await self._exchange.cut()

    def reset(self) -> None:
        self._exchange.reset()

    async def _begin(self, status: int = 200) -> None:
        if not self._exchange.is_started:
            await self._exchange.start(status, self._content_type)

    async def fail(self, status: int, data: bytes) -> None:
        """Send the last words with this status, if the status line is still to come."""
        await self._begin(status)
        await self.send(data)
        await self.end()


class _HttpSink:
    """What the three have in common: a server that does not read before it has written."""

    notices_at_once = False

    def __init__(self, exchange: Exchange, request: InferRequest) -> None:
        self._exchange = exchange
        self._request = request

    @property
    def is_started(self) -> bool:
        return self._exchange.is_started

    @property
    def is_gone(self) -> bool:
        return self._exchange.gone.is_set()

    async def refuse(self, failure: Refused) -> None:
        await refuse(self._exchange, failure)


@final
class StreamSink(_HttpSink):
    """`generate_stream`."""

    def __init__(self, exchange: Exchange, request: InferRequest) -> None:
        super().__init__(exchange, request)
        self._wire = LateHead(exchange, replies.EVENTS)

    @property
    def wire(self) -> Wire:
        """What a script writes to."""
        return self._wire

    async def respond(self, outputs: tuple[Tensor, ...], *, is_last: bool) -> None:
        await self._wire.send(replies.event(replies.generated(self._request, outputs)))

    async def fail(self, failure: Refused) -> None:
        await self._wire.fail(failure.status, replies.event({"error": failure.message}))

    async def complete(self) -> None:
        await self._wire.end()


class _OnceSink(_HttpSink):
    """An answer that is written when the last response is there."""

    def __init__(self, exchange: Exchange, request: InferRequest) -> None:
        super().__init__(exchange, request)
        self._responses: list[tuple[Tensor, ...]] = []

    @property
    def wire(self) -> Wire:
        """What a script writes to."""
        return LateHead(self._exchange, replies.JSON)

    async def respond(self, outputs: tuple[Tensor, ...], *, is_last: bool) -> None:
        self._responses.append(outputs)

    async def fail(self, failure: Refused) -> None:
        await self.refuse(failure)


@final
class GenerateSink(_OnceSink):
    """`generate`."""

    async def complete(self) -> None:
        is_one = len(self._responses) == 1
        body = replies.generated(self._request, self._responses[0]) if is_one else {"error": _ONE}
        await self._say(200, replies.responded(body))

    async def fail(self, failure: Refused) -> None:
        await self._say(failure.status, replies.error(failure.message))

    async def _say(self, status: int, body: bytes) -> None:
        """Answer in chunks: a model's answers come so, the server's own have a length."""
        await self._exchange.start(status, replies.JSON)
        await self._exchange.send(body)
        await self._exchange.end()


@final
class InferSink(_OnceSink):
    """`infer`."""

    async def complete(self) -> None:
        body, json_size = replies.inferred(self._request, (tensor for each in self._responses for tensor in each))
        if json_size is None:
            await self._exchange.answer(200, body, replies.JSON)
            return
        size = (("Inference-Header-Content-Length", str(json_size)),)
        await self._exchange.answer(200, body, "application/octet-stream", size)
