"""The bodies of vLLM's answers, as the server of autumn 2026 (0.32) writes them.

Pure: values in, bytes out. The shapes were recorded from a running server; the tests compare them with the recording.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from conformance.engines.made_up import name
from conformance.engines.openai_wire import CREATED, dump

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adapter_api import JsonValue
    from conformance.engines.script import Fail

DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
BUSY = "The engine is currently busy and cannot accept new requests. Please try again later or on a different instance."
SERVER = (("Date", "Mon, 23 Nov 2026 00:00:00 GMT"), ("Server", "uvicorn"))
HEADERS = (*SERVER, ("Vary", "Origin"))

_COUNTERS = (
    "prefix_cache_queries",
    "prefix_cache_hits",
    "num_preemptions",
    "prompt_tokens",
    "prompt_tokens_cached",
    "generation_tokens",
)
FINISHES = ("stop", "length", "abort", "error", "repetition")


def error_of(failure: Fail, param: str | None = None) -> dict[str, JsonValue]:
    """Return a failure as the server's error object."""
    error: dict[str, JsonValue] = {
        "message": failure.message,
        "type": failure.type,
        "param": param,
        "code": failure.status,
    }
    return {"error": error}


def error_event(failure: Fail) -> bytes:
    """Return an error inside a stream: other software writes it there, with a space after each sign."""
    return b"data: " + json.dumps(error_of(failure)).encode() + b"\n\n"


def models(served: str, root: str, max_model_len: int) -> bytes:
    """Return the body of `/v1/models`."""
    permission: dict[str, JsonValue] = {
        "id": name("modelperm-", 0),
        "object": "model_permission",
        "created": CREATED,
        "allow_create_engine": False,
        "allow_sampling": True,
        "allow_logprobs": True,
        "allow_search_indices": False,
        "allow_view": True,
        "allow_fine_tuning": False,
        "organization": "*",
        "group": None,
        "is_blocking": False,
    }
    model: dict[str, JsonValue] = {
        "id": served,
        "object": "model",
        "created": CREATED,
        "owned_by": "vllm",
        "root": root,
        "parent": None,
        "max_model_len": max_model_len,
        "permission": [permission],
    }
    return dump({"object": "list", "data": [model]})


def metrics(model: str, gauges: Mapping[str, float], counters: Mapping[str, float], ended: Mapping[str, int]) -> bytes:
    """Return the body of `/metrics`: how busy the engine is, what it did and how requests ended."""
    labels = f'engine="0",model_name="{model}"'
    lines = []
    for metric, value in gauges.items():
        lines += [*_head(metric, "gauge"), f"vllm:{metric}{{{labels}}} {float(value)}"]
    for metric in _COUNTERS:
        lines += [
            *_head(f"{metric}_total", "counter"),
            f"vllm:{metric}_total{{{labels}}} {float(counters.get(metric, 0))}",
        ]
    lines += _head("request_success_total", "counter")
    lines += [
        f'vllm:request_success_total{{engine="0",finished_reason="{why}",model_name="{model}"}} {ended.get(why, 0)}.0'
        for why in FINISHES
    ]
    return "\n".join((*lines, "")).encode()


def _head(metric: str, kind: str) -> list[str]:
    return [f"# HELP vllm:{metric} {metric}", f"# TYPE vllm:{metric} {kind}"]


def embeddings(number: int, model: str, data: list[JsonValue], tokens: int) -> bytes:
    """Return the body of `/v1/embeddings`."""
    usage: dict[str, JsonValue] = {
        "prompt_tokens": tokens,
        "total_tokens": tokens,
        "completion_tokens": 0,
        "prompt_tokens_details": None,
        "completion_tokens_details": None,
    }
    head: dict[str, JsonValue] = {"id": name("embd-", number), "object": "list", "created": CREATED, "model": model}
    return dump({**head, "data": data, "usage": usage})


def rerank(number: int, model: str, documents: Sequence[str], scores: Sequence[float], top: int, tokens: int) -> bytes:
    """Return the body of `/rerank`: results from the best to the worst, `top` of them unless it is 0."""
    ranked = sorted(enumerate(documents), key=lambda item: -scores[item[0]])
    results: list[JsonValue] = [
        {"index": n, "document": {"text": text, "multi_modal": None}, "relevance_score": scores[n]}
        for n, text in ranked[: top or None]
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return dump({"id": name("rerank-", number), "model": model, "usage": usage, "results": results})
