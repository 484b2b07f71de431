"""What a real llama.cpp server is asked; `python -m tests.conformance_engines.recording_llamacpp` asks it again."""

from __future__ import annotations

from pathlib import Path

import trio

from tests.conformance_engines.recording import KEY, Ask, Recorded, call_all, get, post, read, write
from tests.support.real_llamacpp import start_server

FILE = Path(__file__).with_name("recorded_llamacpp.json")
WITH_KEY = {"Authorization": f"Bearer {KEY}"}

FLAVOURS: dict[str, dict[str, object]] = {
    "plain": {},
    "closed": {"api_keys": [KEY], "endpoint_slots": False, "endpoint_metrics": False},
    "embeddings": {"embedding": True, "pooling_type": "LLAMA_POOLING_TYPE_MEAN"},
    "rerank": {"embedding": True, "pooling_type": "LLAMA_POOLING_TYPE_RANK"},
}
"""How the server was started -> parameters of the real one."""

_LONG = "hello world " * 3000
_HI = [{"role": "user", "content": "Hi"}]
_WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}

_NATIVE = [
    *get("plain", "/health", "/props", "/slots", "/v1/models", "/metrics", "/nope", "/completion"),
    *post("plain", "/health", "{}"),
    *post(
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
        {"prompt": _LONG, "stream": True},
    ),
    *post("plain", "/completion", '{"prompt":"a", oops', ""),
    *get("plain", "/slots", "/metrics"),
    *post("plain", "/tokenize", '{"content":"caf\u00e9 x"}'),
    *post(
        "plain",
        "/apply-template",
        '{"messages":[{"role":"system","content":"be nice"},{"role":"user","content":"hi"}]}',
        '{"messages":[]}',
        "{}",
        '{"messages":[{"role":"user"}]}',
    ),
    *post("plain", "/v1/embeddings", '{"input":["a"]}'),
    *post("plain", "/rerank", '{"query":"a","documents":["b"]}'),
    *get("closed", "/health", "/v1/health", "/props", "/slots", "/metrics", "/v1/models", "/nope"),
    *get("closed", "/slots", "/metrics", "/v1/models", headers=WITH_KEY),
    *post("embeddings", "/v1/embeddings", '{"input":["a b","c"]}', '{"input":[]}', "{}"),
    *post("embeddings", "/v1/embeddings", {"input": ["hello world " * 300]}),
    *post("embeddings", "/rerank", "{}"),
    *post("rerank", "/rerank", '{"query":"a","documents":["b","c d"]}', "{}", '{"query":"a","documents":[]}'),
]

_OPENAI = [
    *post(
        "plain",
        "/v1/chat/completions",
        {"messages": _HI, "max_tokens": 3, "stream": True, "seed": 7, "temperature": 0, "cache_prompt": False},
        {"messages": _HI, "max_tokens": 2, **_WITH_USAGE, "seed": 7},
        {"messages": _HI, "max_tokens": 2, "stream": True, "return_progress": True, "cache_prompt": False},
        {"messages": _HI, "max_tokens": 2, "stream": True, "timings_per_token": True},
        {"messages": _HI, "max_tokens": 1, "stream": True},
        {"messages": _HI, "max_tokens": 2},
        {"messages": _HI, "max_completion_tokens": 2, "model": "another"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "max_tokens": 1},
        {"messages": _HI, "max_tokens": 1, "stop": "zebra", "temperature": None, "no_such_field": 1},
        "{}",
        '{"messages":"x"}',
        '{"messages":["x"]}',
        '{"messages":[{"role":"user"}]}',
        '{"messages":[{"content":"x"}]}',
        {"messages": _HI, "temperature": "hot"},
        {"messages": _HI, "max_tokens": "x"},
        {"messages": _HI, "stream": 1},
        {"messages": _HI, "stop": [1]},
        {"messages": _HI, "top_logprobs": 1},
        {"messages": [{"role": "user", "content": _LONG}]},
        {"messages": [{"role": "user", "content": _LONG}], "stream": True},
        "[1]",
        '{"messages":[], oops',
        "",
    ),
    *post("plain", "/chat/completions", {"messages": _HI, "max_tokens": 1}),
    *post(
        "plain",
        "/v1/completions",
        {"prompt": "Once upon", "max_tokens": 3, "stream": True, "seed": 7, "temperature": 0, "cache_prompt": False},
        {"prompt": "Once upon", "max_tokens": 2, **_WITH_USAGE},
        {"prompt": "Once upon", "max_tokens": 2, "stream": True, "return_progress": True, "cache_prompt": False},
        {"prompt": "Once upon", "max_tokens": 3},
        {"prompt": [5, 6], "max_tokens": 1},
        {"prompt": "a", "max_tokens": 1, "echo": True, "model": "another"},
        "{}",
        '{"prompt":7}',
        {"prompt": "a", "temperature": "hot"},
        {"prompt": _LONG, "stream": True},
    ),
    *post("plain", "/v1/chat/completions/input_tokens", {"messages": _HI}),
    *get("plain", "/v1/models/x", "/v1/chat/completions", "/v1/completions"),
    *post("closed", "/v1/chat/completions", {"messages": _HI, "max_tokens": 1}),
    *post("closed", "/v1/chat/completions", {"messages": _HI, "max_tokens": 1}, headers=WITH_KEY),
    *post(
        "embeddings",
        "/v1/embeddings",
        {"input": ["a", "b"], "encoding_format": "base64", "model": "another"},
        {"input": "a", "encoding_format": "float"},
        {"input": [5, 6]},
        {"input": [[5, 6], [7]]},
        {"input": "a", "encoding_format": "hex"},
        '{"input":7}',
    ),
    *post("embeddings", "/embeddings", '{"content":"a"}'),
]

REQUESTS: list[Ask] = [*_NATIVE, *_OPENAI]


def recorded() -> list[tuple[Ask, Recorded]]:
    return read(FILE, REQUESTS)


def main() -> None:
    answers = {}
    for flavour, params in FLAVOURS.items():
        with start_server(**params) as server:
            server.wait_ready()
            answers[flavour] = iter(trio.run(call_all, server.url, REQUESTS, flavour))
    write(FILE, [next(answers[ask.flavour]) for ask in REQUESTS])


if __name__ == "__main__":
    main()
