"""A TGI server without a model: its native and OpenAI-shaped routes, its permits, its batch, its errors.

Nothing listens before the model is loaded. What it does not play: tools, grammars, images, `best_of`, watermarks,
several prompts in one request, and the routes of cloud platforms.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, final

from conformance.engines.host import Link
from conformance.engines.seats import Seats
from conformance.engines.server import ServerDouble, open_double

from . import replies, requests, tokens, voices
from .generation import Generation, Overloaded
from .replies import Model
from .requests import Refused
from .validation import Invalid, Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    import trio

    from conformance.engines.http1 import Exchange, SeenRequest
    from conformance.engines.received import Received
    from conformance.engines.script import Script

    Route = Callable[[Exchange], Awaitable[None]]

_OPEN = frozenset({"/health", "/ping", "/info", "/metrics", "/v1/models"})
_WORK = frozenset(
    ("POST", path) for path in ("/", "/generate", "/generate_stream", "/v1/chat/completions", "/v1/completions")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TgiSettings:
    """How the server was started; times in seconds, sizes in tokens.

    `permits` are the requests that it takes at once (`--max-concurrent-requests`), `batch` those that it works on at
    once; the others wait. `ping_s` is the silence after which a comment is sent (None: never), `prefill_s` the time a
    prompt takes, `token_s` the time a made-up token takes, `release_s` how long a place in the batch stays taken after
    its client went away. `has_template` says whether the model can chat; `random_seed` stands for a seed that is drawn.
    `adapters` are the LoRA adapters that may be named; with None any name is taken and means the model itself, which
    clients count on that send a made-up one. `payload_limit` is the most bytes that a body may have.
    """

    permits: int = 4
    batch: int = 4
    max_input_tokens: int = 1024
    max_total_tokens: int = 2048
    max_stop_sequences: int = 4
    payload_limit: int = 2_000_000
    api_key: str | None = None
    has_template: bool = True
    adapters: tuple[str, ...] | None = None
    ping_s: float | None = 15.0
    prefill_s: float = 0.0
    token_s: float = 0.0
    release_s: float = 0.1
    random_seed: int = 8_472_638_194_620_173_552
    model: Model = field(default_factory=Model)

    @property
    def limits(self) -> Limits:
        """What a request may ask for."""
        return Limits(self.max_input_tokens, self.max_total_tokens, self.max_stop_sequences, adapters=self.adapters)


@asynccontextmanager
async def open_tgi(
    settings: TgiSettings | None = None, *scripts: Script, link: Link | None = None
) -> AsyncIterator[TgiDouble]:
    """Run a TGI double; leaving the block resets every connection."""
    async with open_double(partial(TgiDouble, settings=settings or TgiSettings(), link=link or Link())) as double:
        double.load(*scripts)
        yield double


@final
class TgiDouble(ServerDouble):
    """The server, from its socket to its batch; while `is_healthy` is false its health check fails."""

    def __init__(self, nursery: trio.Nursery, settings: TgiSettings, link: Link) -> None:
        super().__init__(nursery, link, work=_WORK)
        self.settings = settings
        self.is_healthy = True
        self.seats = Seats(settings.batch, self.facts, nursery)
        self._permits_taken = 0
        self._counters: dict[str, int] = {}
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "/"): self._health,
            ("GET", "/health"): self._health,
            ("GET", "/ping"): self._health,
            ("GET", "/info"): self._info,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/v1/models"): self._models,
            ("POST", "/"): self._compatible,
            ("POST", "/generate"): partial(self._generate, is_stream=False),
            ("POST", "/generate_stream"): partial(self._generate, is_stream=True),
            ("POST", "/tokenize"): self._tokenize,
            ("POST", "/chat_tokenize"): self._chat_tokenize,
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/completions"): self._complete,
        }

    def __repr__(self) -> str:
        return f"<TgiDouble {self.url} permits={self._permits_taken}/{self.settings.permits} {self.seats}>"

    def forget(self) -> None:
        """Empty the batch and the queue, and begin the counters anew."""
        self.seats.clear()
        self._counters.clear()

    def received(self, request: SeenRequest) -> Received:
        """Return a request in neutral words."""
        return requests.received_by(request)

    async def respond(self, exchange: Exchange) -> None:
        """Answer in the server's order of checks: route, key, body, template."""
        request = exchange.request
        route = self._routes.get((request.method, request.path))
        if route is None:
            is_known = any(path == request.path for _, path in self._routes)
            await exchange.answer(405 if is_known else 404, b"", replies.TEXT, replies.CORS)
        elif not self._is_allowed(exchange):
            await exchange.answer(401, b"", replies.TEXT, replies.CORS)
        else:
            await self._answer_on(route, exchange)

    @contextmanager
    def permit(self) -> Iterator[None]:
        """Hold a permit; raise `Overloaded` if there is none."""
        self._bump("tgi_request_count")
        if self._permits_taken >= self.settings.permits:
            raise Overloaded
        self._permits_taken += 1
        try:
            yield
        finally:
            self._permits_taken -= 1

    def count(self, outcome: str) -> None:
        """Count a request that ended in this way: `success`, or the reason of a failure."""
        self._bump("tgi_request_success" if outcome == "success" else f'tgi_request_failure{{err="{outcome}"}}')

    async def _answer_on(self, route: Route, exchange: Exchange) -> None:
        try:
            if len(exchange.request.body) > self.settings.payload_limit:
                raise Refused(413, "Failed to buffer the request body: length limit exceeded")
            await route(exchange)
        except Refused as refused:
            await exchange.answer(refused.status, refused.text.encode(), replies.TEXT, replies.CORS)
        except Invalid as wrong:
            body = replies.dump(replies.error(wrong.kind, wrong.message))
            await exchange.answer(replies.STATUSES[wrong.kind], body, replies.JSON, replies.CORS)

    def _is_allowed(self, exchange: Exchange) -> bool:
        request, key = exchange.request, self.settings.api_key
        is_open = request.path in _OPEN or request.method == "GET"
        return key is None or is_open or request.headers.get("authorization") == f"Bearer {key}"

    async def _generate(self, exchange: Exchange, *, is_stream: bool) -> None:
        asked = requests.read_native(*_body(exchange), is_stream=is_stream)
        await self.generate(exchange, Generation(self, exchange, asked, voices.Native(asked)))

    async def _compatible(self, exchange: Exchange) -> None:
        shows_prompt = self.settings.model.pipeline_tag in {None, "text-generation"}
        asked = requests.with_default_echo(requests.read_native(*_body(exchange), is_stream=None), echo=shows_prompt)
        await self.generate(exchange, Generation(self, exchange, asked, voices.Native(asked, in_list=True)))

    async def _chat(self, exchange: Exchange) -> None:
        asked = requests.read_chat(*_body(exchange), has_template=self.settings.has_template)
        voice = voices.Chat(asked, self.settings.model)
        await self.generate(exchange, Generation(self, exchange, asked, voice))

    async def _complete(self, exchange: Exchange) -> None:
        asked = requests.read_completion(*_body(exchange))
        await self.generate(exchange, Generation(self, exchange, asked, voices.Completion(self.settings.model)))

    async def _tokenize(self, exchange: Exchange) -> None:
        asked = requests.read_native(*_body(exchange), is_stream=False)
        pieces = tokens.tokenize(asked.prompt, adds_bos=True)
        await _ok(exchange, replies.dump(replies.tokens(pieces)))

    async def _chat_tokenize(self, exchange: Exchange) -> None:
        asked = requests.read_chat(*_body(exchange), has_template=self.settings.has_template)
        pieces = tokens.tokenize(asked.prompt, adds_bos=False)
        answer = {"tokenize_response": replies.tokens(pieces), "templated_text": asked.prompt}
        await _ok(exchange, replies.dump(answer))

    async def _health(self, exchange: Exchange) -> None:
        if self.is_healthy:
            await exchange.answer(200, b"", replies.TEXT, replies.CORS)
        else:
            await exchange.answer(
                503, replies.dump(replies.error("healthcheck", "unhealthy")), replies.JSON, replies.CORS
            )

    async def _info(self, exchange: Exchange) -> None:
        limits = self.settings.limits
        told = {
            "max_concurrent_requests": self.settings.permits,
            "max_best_of": limits.max_best_of,
            "max_stop_sequences": limits.max_stop_sequences,
            "max_input_tokens": limits.max_input_tokens,
            "max_total_tokens": limits.max_total_tokens,
        }
        await _ok(exchange, replies.info(self.settings.model, told))

    async def _models(self, exchange: Exchange) -> None:
        await _ok(exchange, replies.models(self.settings.model))

    async def _metrics(self, exchange: Exchange) -> None:
        has_worked = bool(self._counters)  # a gauge is exported from its first value on
        gauges = {"tgi_queue_size": self.seats.waiting, "tgi_batch_current_size": self.seats.running}
        body = replies.metrics(self._counters, gauges if has_worked else {})
        await exchange.answer(200, body, replies.TEXT, replies.CORS)

    def _bump(self, counter: str) -> None:
        self._counters[counter] = self._counters.get(counter, 0) + 1


def _body(exchange: Exchange) -> tuple[bytes, str]:
    return exchange.request.body, exchange.request.headers.get("content-type", "")


async def _ok(exchange: Exchange, body: bytes) -> None:
    await exchange.answer(200, body, replies.JSON, replies.CORS)
