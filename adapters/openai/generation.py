"""One completion on its way: its call in this server's dialect, and the events that begin it.

Pure but for the one seed that is drawn.

Implements: ADAPT-3003, OC-ADAPT-OAI-6003, OC-ADAPT-OAI-6004, OC-ADAPT-OAI-6010, OC-ADAPT-OAI-6011.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, cast, final

from adapter_api import AdapterError, Metrics, Started
from http_util.engine import drawn_seed
from http_util.openai_api import bodies
from http_util.openai_api.models import shown
from http_util.rate_limits import remaining

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter_api import JsonValue, TaskRequest, TokenEvent
    from http_util.openai_api.answers import Beginning

    from .server import Server
    from .settings import ExtraSampling, OpenAISettings

SEEDS = 2**32 - 1
"""Every server keeps 32 bits of a seed; for some the last of those is a wish to draw another."""
LONGEST_ID = 200


@final
class Generation:
    """A request for text; `headers` are those of the answer once there is one."""

    def __init__(self, request: TaskRequest, server: Server) -> None:
        self.request = request
        self.headers: Mapping[str, str] = MappingProxyType({})
        self.seed = _seed(request, server)
        self._model: str | None = None
        self._server = server

    def __repr__(self) -> str:
        return f"<Generation {self.request.task_id}>"

    def call(self, model: str | None) -> tuple[str, dict[str, JsonValue]]:
        """Return route and body; raise `AdapterError` for what this server cannot be asked."""
        self._model = model
        settings = self._server.settings
        if settings.api == "responses":
            return "/responses", bodies.response(self.request, _more(settings), model=model)
        if self.request.seed is not None and not settings.takes_seed:
            raise AdapterError("completion: the engine's interface has no `seed`", blames_request=True)
        is_chat = bool(self.request.messages) or settings.api == "chat"
        write, path = (bodies.chat, "/chat/completions") if is_chat else (bodies.completion, "/completions")
        seed = None if self.seed is None else bodies.kept_seed(self.seed, SEEDS)
        return path, write(self.request, _dialect(settings), model=model, seed=seed)

    def begin(self, told: Beginning) -> Sequence[TokenEvent]:
        """Return the first events: what the answer began with, and what its headers say of limits."""
        model = told.model or self._model
        started = Started(
            engine_version=self._server.version_of(told.fingerprint or (model and shown(model))),
            model_digest=self._server.settings.model_digest,
            sampler_profile_version=self.request.sampler_profile_version,
            seed=self.seed,
            tokens_in=told.tokens_in,
        )
        values = self._values()
        return (started, Metrics(values)) if values else (started,)

    def _values(self) -> dict[str, JsonValue]:
        """Return what is left of the limits, and the server's own name for the request."""
        values: dict[str, JsonValue] = {f"{limit}_remaining": left for limit, left in remaining(self.headers).items()}
        request_id = self._server.engine.redact(self.headers.get("x-request-id", ""))
        return values | {"engine_request_id": request_id[:LONGEST_ID]} if request_id else values


def _seed(request: TaskRequest, server: Server) -> int | None:
    has_seed = server.settings.takes_seed and server.settings.api != "responses"
    if request.seed is not None or not has_seed:
        return request.seed
    return drawn_seed(server.engine.context.random())


def _dialect(settings: OpenAISettings) -> bodies.Dialect:
    return bodies.Dialect(
        sampling=dict(bodies.STANDARD) | _named(settings.sampling_fields),
        max_tokens=settings.max_tokens_field,
        stream_options=bodies.INCLUDE_USAGE if settings.counts_in_stream else None,
        more=_more(settings),
    )


def _named(extra: ExtraSampling) -> dict[str, str]:
    names = {"top_k": extra.top_k, "min_p": extra.min_p, "repeat_penalty": extra.repeat_penalty}
    return {ours: theirs for ours, theirs in names.items() if theirs is not None}


def _more(settings: OpenAISettings) -> Mapping[str, JsonValue]:
    return cast("Mapping[str, JsonValue]", settings.extra_body)
