"""Requests into vLLM's words.

Pure. The server's `generation_config.json` may set defaults for what a request leaves open; they stay in force.

Implements: OC-ADAPT-5020, ADAPT-3003.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from adapter_api import Determinism
from http_util.engine import correlation
from http_util.openai_api import bodies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue, TaskRequest

SAMPLING: Mapping[str, str] = MappingProxyType({
    **bodies.STANDARD,
    "top_k": "top_k",
    "min_p": "min_p",
    "repeat_penalty": "repetition_penalty",
})
# Counts in every chunk, so that the prompt's are known at the start.
_COUNTS: Mapping[str, JsonValue] = {"include_usage": True, "continuous_usage_stats": True}
_NO_SEED = -1
"""What the server takes for a wish to draw its own seed."""


def call(
    request: TaskRequest, *, model: str | None, seed: int | None, more: Mapping[str, JsonValue]
) -> tuple[str, dict[str, JsonValue]]:
    """Return route and body of a completion.

    Strictness takes a request out of the prefix cache, which changes what is computed together: its salt is its own.
    """
    is_strict = request.determinism is Determinism.STRICT
    salt: dict[str, JsonValue] = {"cache_salt": str(request.task_id)} if is_strict else {}
    dialect = bodies.Dialect(sampling=SAMPLING, stream_options=_COUNTS, more={**more, **salt})
    write, path = (bodies.chat, "/v1/chat/completions") if request.messages else (bodies.completion, "/v1/completions")
    return path, write(request, dialect, model=model, seed=None if seed is None else engine_seed(seed))


def engine_seed(seed: int) -> int:
    """Return any integer as a seed that the server keeps: those of 64 bits as they are, but for -1."""
    is_kept = -(2**63) <= seed < 2**63 and seed != _NO_SEED
    return seed if is_kept else bodies.kept_seed(seed, 2**63 - 1)


def headers(request: TaskRequest) -> dict[str, str]:
    """Return the headers by which a request is found again, in the server's log too."""
    ids = [found for found in (request.correlation_id, request.task_id) if found is not None]
    return {**correlation(request), "x-request-id": "-".join(ids)}
