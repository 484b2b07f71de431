"""A llama.cpp server without a model: its routes, its slots, its errors.

What it does not play: the Responses and Anthropic routes, several prompts or choices in one request, tools, log
probabilities, router mode. The order of checks is the server's: loading, key, route, body, slot.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from conformance.engines import made_up, openai_wire
from conformance.engines.host import Link
from conformance.engines.received import by_its_fields
from conformance.engines.server import ServerDouble, open_double

from . import replies, requests
from .generation import LOADING, Generation
from .replies import Model
from .requests import Completion, Refused
from .slots import GAUGES, SlotPool
from .voices import NativeVoice, OpenAiVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from conformance.engines.http1 import Exchange, SeenRequest
    from conformance.engines.received import Received
    from conformance.engines.script import Script

    from .voices import Voice

    Route = Callable[[Exchange], Awaitable[None]]

_PUBLIC = frozenset({"/health", "/v1/health"})
_CHATS = ("/v1/chat/completions", "/chat/completions")
_COMPLETIONS = ("/completion", "/completions", "/v1/completions")
_POOLING = ("/v1/embeddings", "/embeddings", "/embedding", "/rerank", "/v1/rerank")
_WORK = frozenset(("POST", path) for path in (*_CHATS, *_COMPLETIONS, *_POOLING))


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaSettings:
    """How the server was started; times in seconds.

    `release_s` is how long a slot stays busy after its client went away, `ping_s` the silence after which a comment is
    sent (None: never), `prefill_s` the time a prompt takes, `token_s` the time a made-up token takes. `batch` is the
    most tokens that an input to embed may have.
    """

    slots: int = 2
    n_ctx: int = 2048
    api_key: str | None = None
    has_metrics: bool = True
    has_slots: bool = True
    has_embeddings: bool = False
    has_reranking: bool = False
    has_legacy_errors: bool = False
    is_sleeping: bool = False
    release_s: float = 1.0
    ping_s: float | None = 1.0
    prefill_s: float = 0.0
    token_s: float = 0.0
    batch: int = 512
    model: Model = field(default_factory=Model)


@asynccontextmanager
async def open_llamacpp(
    settings: LlamaSettings | None = None, *scripts: Script, link: Link | None = None
) -> AsyncIterator[LlamaCppDouble]:
    """Run a llama.cpp double; leaving the block resets every connection."""
    async with open_double(
        partial(LlamaCppDouble, settings=settings or LlamaSettings(), link=link or Link())
    ) as double:
        double.load(*scripts)
        yield double


@final
class LlamaCppDouble(ServerDouble):
    """The server, from its socket to its slots."""

    def __init__(self, nursery: trio.Nursery, settings: LlamaSettings, link: Link) -> None:
        super().__init__(nursery, link, work=_WORK, listens_while_loading=True)
        self.settings = settings
        self.slots = SlotPool(settings.slots, settings.n_ctx, self.facts, nursery)
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "/health"): self._health,
            ("GET", "/v1/health"): self._health,
            ("GET", "/props"): self._props,
            ("GET", "/slots"): self._slots,
            ("GET", "/metrics"): self._metrics,
            ("GET", "/models"): self._models,
            ("GET", "/v1/models"): self._models,
            **{("POST", path): self._chat for path in _CHATS},
            **{("POST", path): self._complete for path in _COMPLETIONS},
            ("POST", "/v1/chat/completions/input_tokens"): self._count_tokens,
            ("POST", "/tokenize"): self._tokenize,
            ("POST", "/apply-template"): self._apply_template,
            ("POST", "/v1/embeddings"): self._embed,
            ("POST", "/embeddings"): self._embed_natively,
            ("POST", "/embedding"): self._embed_natively,
            ("POST", "/rerank"): self._rerank,
            ("POST", "/v1/rerank"): self._rerank,
        }

    def __repr__(self) -> str:
        return f"<LlamaCppDouble {self.url} {self.slots}>"

    def received(self, request: SeenRequest) -> Received:
        """Return a request in neutral words."""
        return by_its_fields(request)

    def forget(self) -> None:
        """Free every slot and forget what it held."""
        self.slots.clear()

    async def respond(self, exchange: Exchange) -> None:
        """Answer in the server's order of checks."""
        request = exchange.request
        refusal = self._refusal(request)
        if refusal is not None:
            await exchange.answer(refusal[0], replies.early_error(*refusal), replies.JSON, replies.CLOSES)
            return
        try:
            await self._routes[request.method, request.path](exchange)
        except Refused as refused:
            body = replies.error(refused.status, refused.kind, refused.message, **refused.more)
            await exchange.answer(refused.status, body, replies.JSON, replies.CLOSES)

    def _refusal(self, request: SeenRequest) -> tuple[int, str, str] | None:
        if self.is_loading:
            return LOADING
        if request.path not in _PUBLIC and not self._is_allowed(request):
            return 401, "authentication_error", "Invalid API Key"
        if (request.method, request.path) not in self._routes:
            return 404, "not_found_error", "File Not Found"
        return None

    def _is_allowed(self, request: SeenRequest) -> bool:
        key = self.settings.api_key
        given = request.headers.get("authorization", ""), request.headers.get("x-api-key")
        return key is None or given[0] == f"Bearer {key}" or given[1] == key

    async def _complete(self, exchange: Exchange) -> None:
        request = requests.read_completion(exchange.request.body, self.settings.n_ctx)
        if exchange.request.path.startswith("/v1/"):
            await self._speak(exchange, request, self._openai_voice(request, is_chat=False))
        else:
            await self._speak(exchange, request, NativeVoice(self.settings.model, request))

    async def _chat(self, exchange: Exchange) -> None:
        request = requests.read_chat(exchange.request.body, self.settings.n_ctx)
        await self._speak(exchange, request, self._openai_voice(request, is_chat=True))

    def _openai_voice(self, request: Completion, *, is_chat: bool) -> OpenAiVoice:
        return OpenAiVoice(self.settings.model, request, number=self.facts.submitted, is_chat=is_chat)

    async def _speak(self, exchange: Exchange, request: Completion, voice: Voice) -> None:
        await self.generate(exchange, Generation(self, exchange, request, voice))

    async def _count_tokens(self, exchange: Exchange) -> None:
        request = requests.read_chat(exchange.request.body, self.settings.n_ctx)
        await _ok(exchange, replies.dump({"input_tokens": len(request.tokens), "object": "response.input_tokens"}))

    async def _health(self, exchange: Exchange) -> None:
        await _ok(exchange, replies.dump({"status": "ok"}))

    async def _props(self, exchange: Exchange) -> None:
        settings = self.settings
        endpoints = {"slots": settings.has_slots, "props": True, "metrics": settings.has_metrics}
        body = replies.props(
            settings.model,
            slots=settings.slots,
            n_ctx=settings.n_ctx,
            endpoints=endpoints,
            is_sleeping=settings.is_sleeping,
        )
        await _ok(exchange, body)

    async def _slots(self, exchange: Exchange) -> None:
        _require(self.settings.has_slots, "slots endpoint", "--slots")
        if "fail_on_no_slot=1" in exchange.request.query and self.slots.busy == self.settings.slots:
            raise Refused("no slot available", 503, "unavailable_error")
        await _ok(exchange, replies.slots(self.slots.views()))

    async def _metrics(self, exchange: Exchange) -> None:
        _require(self.settings.has_metrics, "metrics endpoint", "--metrics")
        started = (("Process-Start-Time-Unix", str(1_790_000_000 + int(self.started_at))),)
        body = replies.metrics(self.slots.metrics(), GAUGES)
        await exchange.answer(200, body, "text/plain; version=0.0.4", (*replies.KEEPS_OPEN, *started))

    async def _models(self, exchange: Exchange) -> None:
        await _ok(exchange, replies.models(self.settings.model, self.settings.n_ctx))

    async def _tokenize(self, exchange: Exchange) -> None:
        content = requests.read_object(exchange.request.body).get("content")
        await _ok(exchange, replies.dump({"tokens": requests.tokenize(content if isinstance(content, str) else "")}))

    async def _apply_template(self, exchange: Exchange) -> None:
        await _ok(exchange, replies.dump({"prompt": requests.apply_template(exchange.request.body)}))

    async def _embed(self, exchange: Exchange) -> None:
        _require(self.settings.has_embeddings, "embeddings", "--embeddings")
        texts, given = requests.read_inputs(exchange.request.body)
        tokens = await self._batch(texts)
        form = given.get("encoding_format")
        data = openai_wire.embeddings(texts, form, self.settings.model.n_embd, says_format=True)
        await _ok(exchange, replies.embeddings(str(given.get("model", self.settings.model.path)), data, tokens))

    async def _embed_natively(self, exchange: Exchange) -> None:
        _require(self.settings.has_embeddings, "embeddings", "--embeddings")
        texts, _ = requests.read_inputs(exchange.request.body)
        await self._batch(texts)
        vectors = [made_up.vector(text, self.settings.model.n_embd) for text in texts]
        await _ok(exchange, replies.native_embeddings(vectors))

    async def _rerank(self, exchange: Exchange) -> None:
        _require(self.settings.has_reranking, "reranking", "--reranking")
        query, documents = requests.read_rerank(exchange.request.body)
        tokens = await self._batch([f"{query} {document}" for document in documents])
        await _ok(
            exchange, replies.rerank(self.settings.model, [made_up.score(query, text) for text in documents], tokens)
        )

    async def _batch(self, texts: list[str]) -> int:
        """Compute `texts` on a slot, one after the other; return how many tokens that took."""
        prompts = [requests.tokenize(text, adds_bos=True) for text in texts]
        for prompt in prompts:
            if len(prompt) > self.settings.batch:
                raise Refused(_TOO_LARGE.format(len(prompt), self.settings.batch), 500, "server_error")
            slot = await self.slots.take(prompt, Completion("", prompt, {}))
            try:
                await trio.sleep(self.settings.prefill_s)
            finally:
                self.slots.give_back(slot, prompt)
        return sum(map(len, prompts))


_TOO_LARGE = "input ({} tokens) is too large to process. increase the physical batch size (current batch size: {})"


async def _ok(exchange: Exchange, body: bytes) -> None:
    await exchange.answer(200, body, replies.JSON, replies.KEEPS_OPEN)


def _require(is_on: bool, feature: str, switch: str) -> None:
    if not is_on:
        raise Refused(f"This server does not support {feature}. Start it with `{switch}`", 501, "not_supported_error")
