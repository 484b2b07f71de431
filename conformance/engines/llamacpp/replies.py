"""The bodies of llama.cpp's answers, as the server of autumn 2026 writes them.

Pure: values in, bytes out. Every shape and every message was recorded from a running server; the tests compare them
with the recording, field by field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapter_api import JsonValue

JSON = "application/json; charset=utf-8"
SERVER = (("Server", "llama.cpp"), ("Access-Control-Allow-Origin", ""))
KEEPS_OPEN = (*SERVER, ("Keep-Alive", "timeout=5, max=100"))
CLOSES = (*SERVER, ("Connection", "close"))
STREAMS = (*SERVER, ("X-Accel-Buffering", "no"), ("Keep-Alive", "timeout=5, max=100"))
"""Header names and values, in the server's order. A stream's connection is closed whatever it says there."""

RANDOM_SEED = 4294967295
STOP_TYPES = {"stop": "eos", "stop_string": "word", "length": "limit"}
_SAMPLERS = ("penalties", "dry", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature")

DEFAULTS: Mapping[str, JsonValue] = {
    "seed": RANDOM_SEED,
    "temperature": 0.800000011920929,
    "dynatemp_range": 0.0,
    "dynatemp_exponent": 1.0,
    "top_k": 40,
    "top_p": 0.949999988079071,
    "min_p": 0.05000000074505806,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "xtc_threshold": 0.10000000149011612,
    "typical_p": 1.0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "dry_multiplier": 0.0,
    "dry_base": 1.75,
    "dry_allowed_length": 2,
    "dry_penalty_last_n": 64,
    "mirostat": 0,
    "mirostat_tau": 5.0,
    "mirostat_eta": 0.10000000149011612,
    "adaptive_target": -1.0,
    "adaptive_decay": 0.8999999761581421,
    "max_tokens": -1,
    "n_predict": -1,
    "n_keep": 0,
    "n_discard": 0,
    "ignore_eos": False,
    "stream": False,
    "n_probs": 0,
    "min_keep": 0,
    "chat_format": "Content-only",
    "reasoning_format": "none",
    "reasoning_in_content": False,
    "generation_prompt": "",
    "samplers": _SAMPLERS,
    "speculative.types": "none",
    "timings_per_token": False,
    "post_sampling_probs": False,
    "backend_sampling": False,
    "lora": (),
}
_ONLY_IN_FINAL_FRAME: Mapping[str, JsonValue] = {
    "dry_sequence_breakers": ("\n", ":", '"', "*"),
    "stop": (),
    "logit_bias": (),
    "grammar": "",
    "grammar_lazy": False,
    "grammar_triggers": (),
    "preserved_tokens": (),
}


@dataclass(slots=True)
class Counts:
    """What one generation has used and made; `cached` prompt tokens were not computed again."""

    prompt: int = 0
    cached: int = 0
    predicted: int = 0


@dataclass(frozen=True, slots=True)
class Model:
    """What the server says of the model and of itself."""

    path: str = "/models/tiny-q8_0.gguf"
    build_info: str = "b9702-1a2b3c4d"
    n_vocab: int = 1000
    n_embd: int = 8
    n_params: int = 1_000_000
    size_bytes: int = 1_100_000
    template: str = "{%- for message in messages -%}...{%- endfor -%}"


@dataclass(frozen=True, slots=True)
class SlotView:
    """One slot as `/slots` shows it; `task` is None until it was used."""

    id: int
    n_ctx: int
    is_busy: bool
    task: int | None = None
    counts: Counts = field(default_factory=Counts)
    params: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)


def dump(value: JsonValue) -> bytes:
    """Return compact JSON with raw UTF-8, as nlohmann's `dump()` does."""
    return msgspec.json.encode(value)


def error(status: int, kind: str, message: str, **more: JsonValue) -> bytes:
    """Return an error body of the request handlers."""
    return dump({"error": {"code": status, "message": message, "type": kind, **more}})


def early_error(status: int, kind: str, message: str) -> bytes:
    """Return an error body of the layer before the handlers: the same fields in another order."""
    return dump({"error": {"message": message, "type": kind, "code": status}})


def settings_of(given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Return `generation_settings`: the defaults, with what the request gave."""
    limit = given.get("n_predict", given.get("max_tokens"))
    named = given if limit is None else {**given, "n_predict": limit, "max_tokens": limit}
    known = {name: _typed(name, value) for name, value in named.items() if name in DEFAULTS and value is not None}
    return {**DEFAULTS, "reasoning_format": "deepseek", **known}


def _typed(name: str, value: JsonValue) -> JsonValue:
    """Return a number as the type in which the engine keeps it: `"temperature": 0` comes back as 0.0."""
    if isinstance(DEFAULTS[name], bool):
        return value
    if not isinstance(value, int | float):
        return value
    return float(value) if isinstance(DEFAULTS[name], float) else int(value)


def partial_frame(content: str, tokens: Iterable[int], counts: Counts) -> dict[str, JsonValue]:
    """Return a frame in the middle of a stream."""
    return {
        "index": 0,
        "content": content,
        "tokens": list(tokens),
        "stop": False,
        "id_slot": -1,
        "tokens_predicted": counts.predicted,
        "tokens_evaluated": counts.prompt,
    }


def progress_frame(counts: Counts, processed: int, time_ms: int) -> dict[str, JsonValue]:
    """Return a frame that reports how much of the prompt is done."""
    return {**partial_frame("", (0,), counts), "prompt_progress": prompt_progress(counts, processed, time_ms)}


def prompt_progress(counts: Counts, processed: int, time_ms: int) -> dict[str, JsonValue]:
    """Return how much of the prompt is done after `time_ms`."""
    return {"total": counts.prompt, "cache": counts.cached, "processed": processed, "time_ms": time_ms}


def usage(counts: Counts) -> dict[str, JsonValue]:
    """Return what OpenAI's clients are told of tokens."""
    return {
        "completion_tokens": counts.predicted,
        "prompt_tokens": counts.prompt,
        "total_tokens": counts.prompt + counts.predicted,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
    }


def final_frame(
    *,
    content: str,
    slot: int,
    model: Model,
    counts: Counts,
    given: Mapping[str, JsonValue],
    prompt: str,
    stop_type: str,
) -> dict[str, JsonValue]:
    """Return the frame that ends a generation; it repeats the settings and the whole prompt."""
    return {
        "index": 0,
        "content": content,
        "tokens": [],
        "id_slot": slot,
        "stop": True,
        "model": model.path,
        "tokens_predicted": counts.predicted,
        "tokens_evaluated": counts.prompt,
        "generation_settings": {**settings_of(given), **_ONLY_IN_FINAL_FRAME, "stop": given.get("stop") or []},
        "prompt": f"<bos>{prompt}",
        "has_new_line": "\n" in content,
        "truncated": False,
        "stop_type": stop_type,
        "stopping_word": "",
        "tokens_cached": counts.prompt + max(counts.predicted - 1, 0),
        "timings": timings(counts),
    }


def timings(counts: Counts) -> dict[str, JsonValue]:
    """Return how long what took, at a steady pace."""
    computed = counts.prompt - counts.cached
    return {
        "cache_n": counts.cached,
        "prompt_n": computed,
        "prompt_ms": computed * 4.0,
        "prompt_per_token_ms": 4.0,
        "prompt_per_second": 250.0,
        "predicted_n": counts.predicted,
        "predicted_ms": counts.predicted * 10.0,
        "predicted_per_token_ms": 10.0,
        "predicted_per_second": 100.0,
    }


def props(model: Model, *, slots: int, n_ctx: int, endpoints: Mapping[str, bool], is_sleeping: bool) -> bytes:
    """Return the body of `/props`; `endpoints` holds `slots`, `props` and `metrics`."""
    return dump({
        "default_generation_settings": {"params": DEFAULTS, "n_ctx": n_ctx},
        "total_slots": slots,
        "model_alias": model.path,
        "model_ftype": "Q8_0",
        "model_path": model.path,
        "modalities": {"vision": False, "video": False, "audio": False},
        "media_marker": "<__media__>",
        **{f"endpoint_{name}": is_on for name, is_on in endpoints.items()},
        "ui": True,
        "ui_settings": {},
        "chat_template": model.template,
        "chat_template_caps": {"supports_string_content": True, "supports_system_role": True},
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "build_info": model.build_info,
        "is_sleeping": is_sleeping,
        "cors_proxy_enabled": False,
    })


def slots(views: Iterable[SlotView]) -> bytes:
    """Return the body of `/slots`."""
    return dump([_slot(view) for view in views])


def _slot(view: SlotView) -> dict[str, JsonValue]:
    fresh: dict[str, JsonValue] = {
        "id": view.id,
        "n_ctx": view.n_ctx,
        "speculative": False,
        "is_processing": view.is_busy,
    }
    if view.task is None:
        return fresh
    next_token = {
        "has_next_token": view.is_busy,
        "has_new_line": False,
        "n_remain": -1,
        "n_decoded": view.counts.predicted,
    }
    return {
        **fresh,
        "id_task": view.task,
        "n_prompt_tokens": view.counts.prompt,
        "n_prompt_tokens_processed": view.counts.prompt - view.counts.cached,
        "n_prompt_tokens_cache": view.counts.cached,
        "params": settings_of(view.params),
        "next_token": [next_token],
    }


def models(model: Model, n_ctx: int) -> bytes:
    """Return the body of `/v1/models`: OpenAI's list, and Ollama's beside it."""
    ollama: dict[str, JsonValue] = {
        "name": model.path,
        "model": model.path,
        "modified_at": "",
        "size": "",
        "digest": "",
        "type": "model",
        "description": "",
        "tags": [""],
        "capabilities": ["completion"],
        "parameters": "",
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": "",
            "families": [""],
            "parameter_size": "",
            "quantization_level": "",
        },
    }
    openai: dict[str, JsonValue] = {
        "id": model.path,
        "aliases": [model.path],
        "tags": [],
        "object": "model",
        "architecture": {"input_modalities": ["text"], "output_modalities": ["text"]},
        "created": 1_795_000_000,
        "owned_by": "llamacpp",
        "meta": {
            "vocab_type": 1,
            "n_vocab": model.n_vocab,
            "n_ctx": n_ctx,
            "n_ctx_train": 32_768,
            "n_embd": model.n_embd,
            "n_params": model.n_params,
            "size": model.size_bytes,
            "ftype": "Q8_0",
        },
    }
    return dump({"models": [ollama], "object": "list", "data": [openai]})


def embeddings(name: str, data: list[JsonValue], tokens: int) -> bytes:
    """Return the body of `/v1/embeddings`; `name` is what the request called the model."""
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return dump({"model": name, "object": "list", "usage": usage, "data": data})


def native_embeddings(vectors: Iterable[list[float]]) -> bytes:
    """Return the body of `/embeddings`: one list of vectors for each input."""
    return dump([{"index": n, "embedding": [vector]} for n, vector in enumerate(vectors)])


def rerank(model: Model, scores: Iterable[float], tokens: int) -> bytes:
    """Return the body of `/rerank`: results from the best to the worst."""
    results = [{"index": n, "relevance_score": score} for n, score in enumerate(scores)]
    results.sort(key=lambda result: -result["relevance_score"])
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return dump({"model": model.path, "object": "list", "usage": usage, "results": results})


def metrics(values: Mapping[str, float], gauges: frozenset[str]) -> bytes:
    """Return the body of `/metrics`, Prometheus text."""
    lines = []
    for name, value in values.items():
        lines += [
            f"# HELP llamacpp:{name} {name}",
            f"# TYPE llamacpp:{name} {'gauge' if name in gauges else 'counter'}",
            f"llamacpp:{name} {value:g}",
        ]
    return "\n".join((*lines, "")).encode()
