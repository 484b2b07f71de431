"""OpenAI's HTTP API without a model: chat, text, responses, embeddings, models, limits.

There is no queue: a request beyond the limit is refused with 429, as the service does it. A request is refused in the
service's order: key, route, body, limit. What it does not play: several choices, tools, log probabilities, background
responses, files.
"""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, final

import trio

from conformance.engines import openai_wire
from conformance.engines.host import Link
from conformance.engines.openai_generation import OpenAiGeneration, Pace
from conformance.engines.openai_wire import JSON, dump
from conformance.engines.script import Fail
from conformance.engines.seats import Full, Seats
from conformance.engines.server import ServerDouble, open_double

from . import replies, requests
from .replies import RATE_LIMITED, Limit
from .requests import Refused
from .responses import ResponsesVoice
from .settings import OpenAiSettings
from .voice import OpenAiVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from adapter_api import JsonValue
    from conformance.engines.http1 import Exchange, SeenRequest
    from conformance.engines.openai_generation import Voice
    from conformance.engines.openai_wire import Asked, Counts
    from conformance.engines.received import Received
    from conformance.engines.script import Script

    Route = Callable[[Exchange], Awaitable[None]]

_MINUTE_S = 60.0
_MODEL = "/v1/models/"
_WORK = frozenset(("POST", path) for path in requests.KNOWN)
_NO_LIMIT = 10_000
_NO_KEY = Fail(401, "invalid_request_error", "You didn't provide an API key in an Authorization header.")
_WRONG_KEY = Fail(401, "invalid_api_key", "Incorrect API key provided.")


@asynccontextmanager
async def open_openai(
    settings: OpenAiSettings | None = None, *scripts: Script, link: Link | None = None
) -> AsyncIterator[OpenAiDouble]:
    """Run an OpenAI double; leaving the block resets every connection."""
    build = partial(OpenAiDouble, settings=settings or OpenAiSettings(), link=link or Link())
    async with open_double(build) as double:
        double.load(*scripts)
        yield double


@final
class OpenAiDouble(ServerDouble):
    """The service, from its socket to its limits."""

    def __init__(self, nursery: trio.Nursery, settings: OpenAiSettings, link: Link) -> None:
        super().__init__(nursery, link, work=_WORK)
        self.settings = settings
        self.seats = Seats(settings.slots, self.facts, nursery, max_waiting=0)
        self._pace = Pace(prefill_s=settings.prefill_s, token_s=settings.token_s, release_s=settings.release_s)
        self._recent: deque[float] = deque()
        self._routes: dict[str, tuple[str, Route]] = {
            "/v1/models": ("GET", self._models),
            "/v1/chat/completions": ("POST", self._chat),
            "/v1/completions": ("POST", self._complete),
            "/v1/responses": ("POST", self._respond),
            "/v1/embeddings": ("POST", self._embed),
        }

    def __repr__(self) -> str:
        return f"<OpenAiDouble {self.url} {self.seats}>"

    def forget(self) -> None:
        """Forget every request and the limits that were used up."""
        self.seats.clear()
        self._recent.clear()

    def ended(self, reason: str, counts: Counts) -> None:
        """Count nothing: the service does not tell."""

    def overload(self) -> Fail | None:
        """Return the refusal of a request that is one too many."""
        return RATE_LIMITED

    def received(self, request: SeenRequest) -> Received:
        """Return a request in neutral words; the service documents its defaults."""
        return requests.received_by(request)

    async def respond(self, exchange: Exchange) -> None:
        """Answer in the service's order of checks."""
        try:
            await self._route(exchange.request)(exchange)
        except Refused as refused:
            await self._refuse(exchange, Fail(refused.status, refused.code, refused.message), refused.param)
        except Full:
            await self._refuse(exchange, RATE_LIMITED)

    def _route(self, request: SeenRequest) -> Route:
        self._check_key(request)
        path = request.path
        if path.startswith(_MODEL):
            return self._model
        method, route = self._routes.get(path, ("", None))
        if route is None:
            raise Refused(f"Invalid URL ({request.method} {path})", "invalid_request_error", status=404)
        if method != request.method:
            message = f"Not allowed to {request.method} on {path}."
            raise Refused(message, "method_not_supported", status=405)
        return route

    def _check_key(self, request: SeenRequest) -> None:
        key, given = self.settings.api_key, request.headers.get("authorization")
        if key is not None and given != f"Bearer {key}":
            wrong = _WRONG_KEY if given else _NO_KEY
            raise Refused(wrong.message, wrong.type, status=401)

    async def _refuse(self, exchange: Exchange, failure: Fail, param: str | None = None) -> None:
        body, kind = replies.refusal(failure, self.settings.quirks, param)
        headers = (*self._headers(), *replies.advice(failure, self.settings))
        await exchange.answer(failure.status, body, kind, headers)

    def _given(self, exchange: Exchange) -> dict[str, JsonValue]:
        return requests.read_object(exchange.request.body, exchange.request.path, self.settings)

    async def _chat(self, exchange: Exchange) -> None:
        await self._speak(exchange, requests.read_chat(self._given(exchange), self.settings), is_chat=True)

    async def _complete(self, exchange: Exchange) -> None:
        await self._speak(exchange, requests.read_completion(self._given(exchange), self.settings), is_chat=False)

    async def _speak(self, exchange: Exchange, asked: Asked, *, is_chat: bool) -> None:
        self._admit()
        number, heads = self.facts.submitted, self._headers()
        voice = OpenAiVoice(asked, self.settings, number=number, is_chat=is_chat, heads=heads)
        await self._generate(exchange, asked, voice)

    async def _respond(self, exchange: Exchange) -> None:
        asked = requests.read_response(self._given(exchange), self.settings)
        self._admit()
        voice = ResponsesVoice(asked, self.settings, number=self.facts.submitted, heads=self._headers())
        await self._generate(exchange, asked, voice)

    async def _generate(self, exchange: Exchange, asked: Asked, voice: Voice) -> None:
        await self.generate(exchange, OpenAiGeneration(self, exchange, asked, voice, self._pace))

    async def _embed(self, exchange: Exchange) -> None:
        given = self._given(exchange)
        texts = requests.read_inputs(given)
        self._admit()
        wanted = given.get("dimensions")
        size = wanted if isinstance(wanted, int) else self.settings.dimensions
        data = openai_wire.embeddings(texts, given.get("encoding_format"), size)
        await trio.sleep(self.settings.prefill_s)
        await self._ok(exchange, replies.embeddings(str(given["model"]), data, openai_wire.token_count(texts)))

    async def _models(self, exchange: Exchange) -> None:
        await self._ok(exchange, replies.models(self._served))

    async def _model(self, exchange: Exchange) -> None:
        wanted = exchange.request.path.removeprefix(_MODEL)
        if wanted not in self._served:
            raise Refused(f"The model '{wanted}' does not exist", "model_not_found", "model", 404)
        await self._ok(exchange, dump(replies.model(wanted)))

    @property
    def _served(self) -> tuple[str, ...]:
        return self.settings.model, self.settings.embedding_model

    async def _ok(self, exchange: Exchange, body: bytes) -> None:
        await exchange.answer(200, body, JSON, self._headers())

    def _headers(self) -> Iterable[tuple[str, str]]:
        return replies.headers(len(self.facts.requests), self._limit())

    def _admit(self) -> None:
        """Count a request against the limit; raise `Full` beyond it."""
        if self._limit().remaining < 1:
            raise Full
        self._recent.append(trio.current_time())

    def _limit(self) -> Limit:
        now = trio.current_time()
        while self._recent and self._recent[0] <= now - _MINUTE_S:
            self._recent.popleft()
        allowed = self.settings.requests_per_minute or _NO_LIMIT
        reset_s = self._recent[0] + _MINUTE_S - now if self._recent else 0.0
        return Limit(allowed, max(0, allowed - len(self._recent)), reset_s)
