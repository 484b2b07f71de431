"""A vLLM server without a model: its routes, its queue, its errors, its death in two steps.

While it loads nothing listens. When a batch fails the engine is dead: streams get an error, then the server answers 500
for a while, then it is gone. What it does not play: several choices or prompts in one request, tools, log
probabilities, the Responses and Anthropic routes.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, final

import trio

from conformance.engines import made_up, openai_wire
from conformance.engines.host import Link
from conformance.engines.openai_generation import OpenAiGeneration, Pace
from conformance.engines.openai_wire import JSON, dump
from conformance.engines.received import by_its_fields
from conformance.engines.script import Fail
from conformance.engines.seats import Full, Seats
from conformance.engines.server import ServerDouble, open_double

from . import replies, requests
from .requests import Refused
from .voice import VllmVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from adapter_api import JsonValue
    from conformance.engines.http1 import Exchange, SeenRequest
    from conformance.engines.openai_wire import Asked, Counts
    from conformance.engines.received import Received
    from conformance.engines.script import Script

    Route = Callable[[Exchange], Awaitable[None]]

DEAD = Fail(500, "InternalServerError", replies.DEAD)
BUSY = Fail(503, "Service Unavailable", replies.BUSY)
_GUARDED = ("/v1", "/v2", "/inference", "/cohere")
_WORK = frozenset(
    ("POST", path)
    for path in ("/v1/completions", "/v1/chat/completions", "/v1/embeddings", "/rerank", "/v1/rerank", "/v2/rerank")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSettings:
    """How the server was started; times in seconds.

    `slots` is how many requests run at a time, `queue` how many may wait (None: any number), `dead_s` how long the
    server still answers after its engine died. A real server either `generates` or has embeddings and reranking; this
    one may do both. Text of `reasoning` is sent before the answer in `reasoning_field`, which had another name in older
    servers. `release_s` is how long a request whose client has left still runs,
    `prefill_s` the time a prompt takes, `token_s` that of a made-up token.
    """

    model: str = "tiny"
    root: str = "/models/tiny"
    version: str = "0.32.0"
    slots: int = 2
    max_model_len: int = 2048
    queue: int | None = None
    api_key: str | None = None
    has_embeddings: bool = False
    has_reranking: bool = False
    generates: bool = True
    dimensions: int = 8
    reasoning: str = ""
    reasoning_field: Literal["reasoning", "reasoning_content"] = "reasoning"
    release_s: float = 0.0
    prefill_s: float = 0.0
    token_s: float = 0.0
    dead_s: float = 1.0


@asynccontextmanager
async def open_vllm(
    settings: VllmSettings | None = None, *scripts: Script, link: Link | None = None
) -> AsyncIterator[VllmDouble]:
    """Run a vLLM double; leaving the block resets every connection."""
    build = partial(VllmDouble, settings=settings or VllmSettings(), link=link or Link(port=8000))
    async with open_double(build) as double:
        double.load(*scripts)
        yield double


@final
class VllmDouble(ServerDouble):
    """The server, from its socket to its queue."""

    def __init__(self, nursery: trio.Nursery, settings: VllmSettings, link: Link) -> None:
        super().__init__(nursery, link, work=_WORK)
        self.settings = settings
        self.seats = Seats(settings.slots, self.facts, nursery, max_waiting=settings.queue)
        self.is_dead = False
        self._pace = Pace(prefill_s=settings.prefill_s, token_s=settings.token_s, release_s=settings.release_s)
        self._answered = 0
        self._counted: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._routes: dict[str, tuple[str, Route]] = {
            "/health": ("GET", self._health),
            "/ping": ("GET", self._health),
            "/version": ("GET", self._version),
            "/load": ("GET", self._load),
            "/metrics": ("GET", self._metrics),
            "/v1/models": ("GET", self._models),
            "/tokenize": ("POST", self._tokenize),
            "/detokenize": ("POST", self._detokenize),
        }
        if settings.generates:
            self._routes["/v1/completions"] = ("POST", self._complete)
            self._routes["/v1/chat/completions"] = ("POST", self._chat)
        if settings.has_embeddings:
            self._routes["/v1/embeddings"] = ("POST", self._embed)
        if settings.has_reranking:
            self._routes |= dict.fromkeys(("/rerank", "/v1/rerank", "/v2/rerank"), ("POST", self._rerank))

    def __repr__(self) -> str:
        return f"<VllmDouble {self.url} {self.seats}{' dead' if self.is_dead else ''}>"

    def received(self, request: SeenRequest) -> Received:
        """Return a request in neutral words."""
        return by_its_fields(request)

    def forget(self) -> None:
        """Forget every request and every figure."""
        self.seats.clear()
        self._counted.clear()
        self._ended.clear()
        self.is_dead = False

    def fail_batch(self, failure: Fail) -> None:
        """Make every request report `failure`; the engine is dead and the server follows it."""
        super().fail_batch(failure)
        self.is_dead = True
        self.nursery.start_soon(self._end_after, self.settings.dead_s, self.started_at)

    def break_engine(self) -> None:
        """Let the engine die under its requests, in the server's own words."""
        self.fail_batch(DEAD)

    def ended(self, reason: str, counts: Counts) -> None:
        """Count a request's tokens and how it ended."""
        self._counted.update(prompt_tokens=counts.prompt, generation_tokens=counts.completion)
        self._ended[reason] += 1

    def overload(self) -> Fail | None:
        """Return the refusal of a full queue; None where the queue has no end."""
        return None if self.settings.queue is None else BUSY

    async def respond(self, exchange: Exchange) -> None:
        """Answer in the server's order of checks."""
        request = exchange.request
        if request.path.startswith(_GUARDED) and not self._is_allowed(request):
            await exchange.answer(401, dump({"error": "Unauthorized"}), JSON, replies.SERVER)
            return
        method, route = self._routes.get(request.path, ("", None))
        if route is None:
            await exchange.answer(404, dump({"detail": "Not Found"}), JSON, replies.HEADERS)
        elif method != request.method:
            headers = (*replies.HEADERS, ("Allow", method))
            await exchange.answer(405, dump({"detail": "Method Not Allowed"}), JSON, headers)
        else:
            await self._answer_route(exchange, route)

    async def _answer_route(self, exchange: Exchange, route: Route) -> None:
        try:
            await route(exchange)
        except Refused as refused:
            failure = Fail(refused.status, refused.kind, refused.message)
            body = dump(replies.error_of(failure, refused.param))
            await exchange.answer(refused.status, body, JSON, replies.HEADERS)
        except Full:
            await exchange.answer(BUSY.status, dump(replies.error_of(BUSY)), JSON, replies.HEADERS)

    def _is_allowed(self, request: SeenRequest) -> bool:
        key = self.settings.api_key
        return key is None or request.headers.get("authorization") == f"Bearer {key}"

    async def _chat(self, exchange: Exchange) -> None:
        given = _given(exchange.request, "messages")
        asked = requests.read_chat(given, self.settings.model, self.settings.max_model_len)
        await self._generate(exchange, asked, is_chat=True)

    async def _complete(self, exchange: Exchange) -> None:
        given = _given(exchange.request)
        asked = requests.read_completion(given, self.settings.model, self.settings.max_model_len)
        await self._generate(exchange, asked, is_chat=False)

    async def _generate(self, exchange: Exchange, asked: Asked, *, is_chat: bool) -> None:
        if self.is_dead:
            raise Refused(replies.DEAD, 500, "InternalServerError")
        self._answered += 1
        label = exchange.request.headers.get("x-request-id") or made_up.name("", self._answered)
        settings = self.settings
        voice = VllmVoice(asked, settings, label=label, is_chat=is_chat)
        await self.generate(exchange, OpenAiGeneration(self, exchange, asked, voice, self._pace))

    async def _health(self, exchange: Exchange) -> None:
        await exchange.answer(503 if self.is_dead else 200, b"", "", replies.HEADERS)

    async def _version(self, exchange: Exchange) -> None:
        await _ok(exchange, dump({"version": self.settings.version}))

    async def _load(self, exchange: Exchange) -> None:
        await _ok(exchange, dump({"server_load": self.facts.live}))

    async def _metrics(self, exchange: Exchange) -> None:
        gauges = {
            "num_requests_running": self.seats.running,
            "num_requests_waiting": self.seats.waiting,
            "kv_cache_usage_perc": min(1.0, self.seats.running / (2 * self.settings.slots)),
        }
        body = replies.metrics(self.settings.model, gauges, self._counted, self._ended)
        await exchange.answer(200, body, "text/plain; version=1.0.0; charset=utf-8", replies.HEADERS)

    async def _models(self, exchange: Exchange) -> None:
        settings = self.settings
        await _ok(exchange, replies.models(settings.model, settings.root, settings.max_model_len))

    async def _tokenize(self, exchange: Exchange) -> None:
        given = _given(exchange.request)
        requests.check_model(given, self.settings.model)
        text = requests.text_to_tokenize(given)
        tokens = list(made_up.tokenize(text))
        strings = made_up.pieces(text) if given.get("return_token_strs") else None
        size = {"count": len(tokens), "max_model_len": self.settings.max_model_len}
        await _ok(exchange, dump({**size, "tokens": tokens, "token_strs": strings}))

    async def _detokenize(self, exchange: Exchange) -> None:
        texts = openai_wire.texts_of(_given(exchange.request, "tokens")["tokens"])
        await _ok(exchange, dump({"prompt": "".join(texts)}))

    async def _embed(self, exchange: Exchange) -> None:
        given = _given(exchange.request)
        texts = requests.read_inputs(given, self.settings.model)
        await self._pool(exchange)
        wanted = given.get("dimensions")
        size = wanted if isinstance(wanted, int) else self.settings.dimensions
        data = openai_wire.embeddings(texts, given.get("encoding_format"), size)
        body = replies.embeddings(self._answered, self.settings.model, data, openai_wire.token_count(texts))
        await _ok(exchange, body)

    async def _rerank(self, exchange: Exchange) -> None:
        given = _given(exchange.request, "query", "documents")
        requests.check_model(given, self.settings.model)
        query, documents = str(given["query"]), openai_wire.texts_of(given["documents"])
        await self._pool(exchange)
        scores = [made_up.score(query, text) for text in documents]
        top = given.get("top_n")
        tokens = openai_wire.token_count([f"{query} {text}" for text in documents])
        model = self.settings.model
        body = replies.rerank(self._answered, model, documents, scores, top if isinstance(top, int) else 0, tokens)
        await _ok(exchange, body)

    async def _pool(self, exchange: Exchange) -> None:
        """Compute on a seat for as long as a prompt takes."""
        if self.is_dead:
            raise Refused(replies.DEAD, 500, "InternalServerError")
        self._answered += 1
        self.seats.admit(exchange)
        try:
            await self.seats.take(exchange)
            await trio.sleep(self.settings.prefill_s)
        finally:
            self.seats.leave(exchange)

    async def _end_after(self, seconds: float, started_at: float) -> None:
        await trio.sleep(seconds)
        if self.is_dead and started_at == self.started_at:
            self.stop()


def _given(request: SeenRequest, *required: str) -> dict[str, JsonValue]:
    return requests.read_object(request.body, request.headers.get("content-type", ""), required=required)


async def _ok(exchange: Exchange, body: bytes) -> None:
    await exchange.answer(200, body, JSON, replies.HEADERS)
