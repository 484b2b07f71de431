"""The bodies of TGI's answers, as its router 3.x writes them.

Pure: values in, bytes out. The shapes follow the router's source; the clients that read them in the tests were written
for the real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from adapter_api import JsonValue

    from .tokens import Piece

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
EVENTS = "text/event-stream"
CORS = (
    ("vary", "origin, access-control-request-method, access-control-request-headers"),
    ("access-control-allow-origin", "*"),
)
PING = b":\n\n"
DONE = b"data: [DONE]\n\n"
_CREATED = 1_795_000_000

FINISH_REASONS = {"stop": "eos_token", "stop_string": "stop_sequence", "length": "length"}
"""What a script calls the end -> what TGI calls it."""
_CHAT_REASONS = {"eos_token": "stop"}

STATUSES: Mapping[str, int] = {
    "overloaded": 429,
    "validation": 422,
    "generation": 424,
    "incomplete_generation": 500,
    "incomplete_generation_stream": 500,
    "stream_serialization_error": 500,
    "template_error": 422,
    "missing_template_variable": 422,
    "tool_error": 422,
    "suffix not supported": 422,
    "healthcheck": 503,
}
"""`error_type` -> the status that it has outside streams."""


@dataclass(frozen=True, slots=True)
class Model:
    """What the server says of the model and of itself."""

    id: str = "org/tiny-llm"
    revision: str | None = "e985a63cdc139290c5f700ff1929f0b5942cced2"
    pipeline_tag: str | None = "text-generation"
    version: str = "3.3.6"
    commit: str | None = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"

    @property
    def engine_version(self) -> str:
        """Version and commit in one word."""
        return self.version if self.commit is None else f"{self.version}+{self.commit}"


@dataclass(frozen=True, slots=True)
class Token:
    """One token that was made."""

    id: int
    text: str
    is_special: bool = False

    @property
    def json(self) -> dict[str, JsonValue]:
        return {"id": self.id, "text": self.text, "logprob": -0.25, "special": self.is_special}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a generation ended; `reason` in TGI's native word, `prefill` the ids and texts of the prompt."""

    text: str
    reason: str
    tokens_in: int
    tokens_out: int
    seed: int | None
    tokens: Sequence[Token] = ()
    prefill: Sequence[Piece] = ()

    @property
    def usage(self) -> dict[str, JsonValue]:
        return {
            "prompt_tokens": self.tokens_in,
            "completion_tokens": self.tokens_out,
            "total_tokens": self.tokens_in + self.tokens_out,
        }


def dump(value: JsonValue) -> bytes:
    """Return compact JSON with raw UTF-8, as `serde_json` writes it."""
    return msgspec.json.encode(value)


def event(value: JsonValue) -> bytes:
    """Return one frame of a stream."""
    return b"data: " + dump(value) + b"\n\n"


def error(kind: str, message: str) -> dict[str, JsonValue]:
    """Return the error object of the native routes, and of every answer that is no stream."""
    return {"error": message, "error_type": kind}


def openai_error(message: str) -> dict[str, JsonValue]:
    """Return the error object inside streams of the OpenAI routes: one code for everything, and no type."""
    return {"error": {"message": message, "http_status_code": 422}}


def native_frame(index: int, token: Token, outcome: Outcome | None, *, details: bool) -> dict[str, JsonValue]:
    """Return a native frame; with an outcome it is the last one."""
    told = outcome if details else None
    return {
        "index": index,
        "token": token.json,
        "generated_text": None if outcome is None else outcome.text,
        "details": None if told is None else {**_details(told), "input_length": told.tokens_in},
    }


def native_answer(outcome: Outcome, *, details: bool, prefill: bool) -> dict[str, JsonValue]:
    """Return the answer to `POST /generate`."""
    if not details:
        return {"generated_text": outcome.text}
    shown = outcome.prefill if prefill else ()
    more: dict[str, JsonValue] = {
        **_details(outcome),
        "prefill": [
            {"id": piece.id, "text": piece.text, "logprob": None if place == 0 else -1.5}
            for place, piece in enumerate(shown)
        ],
        "tokens": [token.json for token in outcome.tokens],
    }
    return {"generated_text": outcome.text, "details": more}


def chat_chunks(model: Model, token: Token, outcome: Outcome | None, *, usage: bool) -> list[JsonValue]:
    """Return the chunks of one token of a chat; the last one may be followed by one with the counts."""
    reason = None if outcome is None else _CHAT_REASONS.get(outcome.reason, outcome.reason)
    choice: dict[str, JsonValue] = {
        "index": 0,
        "delta": {"role": "assistant", "content": "" if token.is_special else token.text},
        "logprobs": None,
        "finish_reason": reason,
    }
    chunks: list[JsonValue] = [{**_openai("chat.completion.chunk", model), "choices": [choice], "usage": None}]
    if usage and outcome is not None:
        chunks.append({**_openai("chat.completion.chunk", model), "choices": [], "usage": outcome.usage})
    return chunks


def chat_answer(model: Model, outcome: Outcome) -> dict[str, JsonValue]:
    """Return the answer to `POST /v1/chat/completions`."""
    choice: dict[str, JsonValue] = {
        "index": 0,
        "message": {"role": "assistant", "content": outcome.text},
        "logprobs": None,
        "finish_reason": _CHAT_REASONS.get(outcome.reason, outcome.reason),
    }
    return {**_openai("chat.completion", model), "choices": [choice], "usage": outcome.usage}


def completion_chunk(model: Model, token: Token, outcome: Outcome | None) -> dict[str, JsonValue]:
    """Return one chunk of `/v1/completions`: special tokens are shown, and "" stands for no reason."""
    choice: dict[str, JsonValue] = {
        "index": 0,
        "text": token.text,
        "logprobs": None,
        "finish_reason": "" if outcome is None else outcome.reason,
    }
    counts: dict[str, JsonValue] = {} if outcome is None else {"usage": outcome.usage}
    return {**_openai("text_completion", model), "choices": [choice], **counts}


def completion_answer(model: Model, outcome: Outcome) -> dict[str, JsonValue]:
    """Return the answer to `POST /v1/completions`."""
    reason = _CHAT_REASONS.get(outcome.reason, outcome.reason)
    choice: dict[str, JsonValue] = {"index": 0, "text": outcome.text, "logprobs": None, "finish_reason": reason}
    return {**_openai("text_completion", model), "choices": [choice], "usage": outcome.usage}


def info(model: Model, limits: Mapping[str, JsonValue]) -> bytes:
    """Return the body of `/info`."""
    return dump({
        "model_id": model.id,
        "model_sha": model.revision,
        "model_pipeline_tag": model.pipeline_tag,
        **limits,
        "validation_workers": 2,
        "max_client_batch_size": 4,
        "router": "text-generation-router",
        "version": model.version,
        "sha": model.commit,
        "docker_label": None,
    })


def models(model: Model) -> bytes:
    """Return the body of `/v1/models`."""
    entry: dict[str, JsonValue] = {"id": model.id, "object": "model", "created": 0, "owned_by": model.id}
    return dump({"object": "list", "data": [entry]})


def tokens(pieces: Iterable[Piece]) -> list[JsonValue]:
    """Return the answer to `POST /tokenize`."""
    return [{"id": piece.id, "text": piece.text, "start": piece.start, "stop": piece.stop} for piece in pieces]


def metrics(counters: Mapping[str, int], gauges: Mapping[str, int]) -> bytes:
    """Return the body of `/metrics`, Prometheus text; `counters` are named with their labels."""
    lines: list[str] = []
    for values, kind in ((counters, "counter"), (gauges, "gauge")):
        for family in sorted({name.partition("{")[0] for name in values}):
            lines.append(f"# TYPE {family} {kind}")
            lines += [f"{name} {value}" for name, value in values.items() if name.partition("{")[0] == family]
            lines.append("")
    return "\n".join(lines).encode()


def _details(outcome: Outcome) -> dict[str, JsonValue]:
    return {"finish_reason": outcome.reason, "generated_tokens": outcome.tokens_out, "seed": outcome.seed}


def _openai(kind: str, model: Model) -> dict[str, JsonValue]:
    fingerprint = f"{model.version}-native"
    return {"object": kind, "id": "", "created": _CREATED, "model": model.id, "system_fingerprint": fingerprint}
