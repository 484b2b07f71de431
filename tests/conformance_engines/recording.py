"""Answers of a real llama.cpp server, kept in `recorded_llamacpp.json`, and how they are compared.

`python -m tests.conformance_engines.recording` asks the real server again and rewrites the file. Texts and figures
differ from model to model; what must agree is the status, the headers, the fields with their types and, for errors, the
words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio

from tests.conformance_engines.client import Answer, Call
from tests.support.real_llamacpp import start_server

if TYPE_CHECKING:
    from adapter_api import JsonValue

FILE = Path(__file__).with_name("recorded_llamacpp.json")
KEY = "key-of-the-recording"

FLAVOURS: dict[str, dict[str, object]] = {
    "plain": {},
    "closed": {"api_keys": [KEY], "endpoint_slots": False, "endpoint_metrics": False},
    "embeddings": {"embedding": True, "pooling_type": "LLAMA_POOLING_TYPE_MEAN"},
    "rerank": {"embedding": True, "pooling_type": "LLAMA_POOLING_TYPE_RANK"},
}
"""How the server was started -> parameters of the real one."""


class Ask(msgspec.Struct, frozen=True):
    """A request to one flavour of the server."""

    flavour: str
    path: str
    body: str = ""
    method: str = "POST"
    has_key: bool = False

    @property
    def name(self) -> str:
        return f"{self.flavour} {self.method} {self.path} {self.body[:60]}".strip()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEY}"} if self.has_key else {}


class Recorded(msgspec.Struct, frozen=True):
    """The answer to the request of that name."""

    name: str
    status: int
    headers: dict[str, str]
    body: str


def _get(flavour: str, *paths: str, has_key: bool = False) -> list[Ask]:
    return [Ask(flavour, path, method="GET", has_key=has_key) for path in paths]


def _post(flavour: str, path: str, *bodies: str) -> list[Ask]:
    return [Ask(flavour, path, body) for body in bodies]


REQUESTS = [
    *_get("plain", "/health", "/props", "/slots", "/v1/models", "/metrics", "/nope", "/completion"),
    *_post("plain", "/health", "{}"),
    *_post(
        "plain",
        "/completion",
        '{"prompt":"Once upon","n_predict":4,"stream":true,"seed":7,"temperature":0,"cache_prompt":false}',
        '{"prompt":"Once upon","n_predict":2,"stream":true,"return_progress":true,"cache_prompt":false}',
        '{"prompt":"Once upon","n_predict":2,"seed":7}',
        '{"prompt":"","n_predict":1,"stream":true}',
        '{"prompt":"a","n_predict":0,"stream":true}',
        '{"prompt":"a","n_predict":1,"temperature":null,"no_such_field":1}',
        '{"prompt":"a","n_predict":true}',
        '{"n_predict":2,"stream":true}',
        '{"prompt":7,"stream":true}',
        '{"prompt":"a","n_predict":"x"}',
        '{"prompt":"a","temperature":"hot"}',
        '{"prompt":"a","stream":1}',
        '{"prompt":"a","stop":[1]}',
        '{"prompt":"a","repeat_penalty":-2}',
        "[1]",
        '"text"',
        msgspec.json.encode({"prompt": "hello world " * 3000, "stream": True}).decode(),
    ),
    *_post("plain", "/completion", '{"prompt":"a", oops', ""),
    *_get("plain", "/slots", "/metrics"),
    *_post("plain", "/tokenize", '{"content":"caf\u00e9 x"}'),
    *_post(
        "plain",
        "/apply-template",
        '{"messages":[{"role":"system","content":"be nice"},{"role":"user","content":"hi"}]}',
        '{"messages":[]}',
        "{}",
        '{"messages":[{"role":"user"}]}',
    ),
    *_post("plain", "/v1/embeddings", '{"input":["a"]}'),
    *_post("plain", "/rerank", '{"query":"a","documents":["b"]}'),
    *_get("closed", "/health", "/v1/health", "/props", "/slots", "/metrics", "/v1/models", "/nope"),
    *_get("closed", "/slots", "/metrics", "/v1/models", has_key=True),
    *_post("embeddings", "/v1/embeddings", '{"input":["a b","c"]}', '{"input":[]}', "{}"),
    *_post("embeddings", "/v1/embeddings", msgspec.json.encode({"input": ["hello world " * 300]}).decode()),
    *_post("embeddings", "/rerank", "{}"),
    *_post("rerank", "/rerank", '{"query":"a","documents":["b","c d"]}', "{}", '{"query":"a","documents":[]}'),
]


def recorded() -> list[tuple[Ask, Recorded]]:
    """Return every request with the real server's answer to it, in the order in which they were made."""
    answers = msgspec.json.decode(FILE.read_bytes(), type=list[Recorded])
    pairs = list(zip(REQUESTS, answers, strict=True))
    assert all(ask.name == answer.name for ask, answer in pairs), "record again: the list of requests has changed"
    return pairs


@dataclass(frozen=True, slots=True)
class Comparable:
    """What of an answer two servers must have in common."""

    status: int
    headers: dict[str, str]
    body: JsonValue


def comparable(status: int, headers: dict[str, str], body: str) -> Comparable:
    kept = {name.lower(): value for name, value in headers.items()}
    for name in kept.keys() & {"content-length", "process-start-time-unix"}:
        kept[name] = "N"
    return Comparable(status, kept, _comparable_body(kept["content-type"], body))


def _comparable_body(content_type: str, body: str) -> JsonValue:
    if content_type == "text/event-stream":
        blocks = body.split("\n\n")
        return [shape(msgspec.json.decode(block[6:])) for block in blocks if block]
    if content_type.startswith("text/plain"):
        return sorted(re.findall(r"^# TYPE .*$", body, re.MULTILINE))
    value: JsonValue = msgspec.json.decode(body)
    if isinstance(value, dict) and "error" in value:
        return _with_same_words(value)
    return shape(value)


def shape(value: JsonValue) -> JsonValue:
    """Return the value's form: types for scalars, sorted fields, the fullest item of a list (a used slot says more)."""
    if isinstance(value, dict):
        return {name: _form(name, value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return max((shape(item) for item in value), key=lambda form: len(str(form)), default=None)
    return type(value).__name__


def _form(name: str, value: JsonValue) -> JsonValue:
    if name in {"stop", "truncated", "is_processing", "endpoint_slots", "endpoint_metrics"} and isinstance(value, bool):
        return value  # these carry the meaning
    return "…" if name == "chat_template_caps" else shape(value)  # follows the model's template


def _with_same_words(value: dict[str, JsonValue]) -> JsonValue:
    """Keep an error's words, apart from figures and from where a JSON parser lost its way."""
    text = msgspec.json.encode(value).decode()
    text = re.sub(r"column \d+: syntax error.*?(?=\",\"type\")", "column N: syntax error", text)
    return re.sub(r"(request \(|input \(|n_prompt_tokens\":)\d+", r"\1N", text)


async def call(stream: trio.abc.Stream, ask: Ask) -> Answer:
    """Make the request on a fresh connection; closes it."""
    async with stream:
        request = Call(stream)
        await request.send(ask.method, ask.path, ask.body.encode(), ask.headers)
        return await request.finish()


async def call_all(url: str, flavour: str) -> list[tuple[Ask, Answer]]:
    """Make every request of this flavour, one after the other."""
    port = int(url.rsplit(":", 1)[1])
    mine = [ask for ask in REQUESTS if ask.flavour == flavour]
    return [(ask, await call(await trio.open_tcp_stream("127.0.0.1", port), ask)) for ask in mine]


def _kept(ask: Ask, answer: Answer) -> Recorded:
    body = re.sub(r'"/[^"]*/([^"/]*\.gguf)"', r'"/models/\1"', answer.body.decode())
    body = re.sub(r'("embedding":\[[^,\]]*,[^,\]]*)[^\]]*', r"\1", body)
    body = re.sub(r"<__media_\w*__>", "<__media__>", body)
    return Recorded(ask.name, answer.status, {name.title(): value for name, value in answer.headers.items()}, body)


def main() -> None:
    done: list[Recorded] = []
    for flavour, params in FLAVOURS.items():
        with start_server(**params) as server:
            server.wait_ready()
            done += [_kept(ask, answer) for ask, answer in trio.run(call_all, server.url, flavour)]
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(done), indent=1) + b"\n")


if __name__ == "__main__":
    main()
