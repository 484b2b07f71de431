"""What a real vLLM server is asked; `python -m tests.conformance_engines.recording_vllm` asks it again.

It needs the environment of `make test-vllm` and takes some minutes: the server is started once for each flavour.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from tests.conformance_engines.recording import KEY, Ask, Recorded, call_all, get, post, read, write

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = Path(__file__).with_name("recorded_vllm.json")
ENVIRONMENT = Path(__file__).parents[2] / ".venv-vllm"
PORT = 18777
JSON = {"Content-Type": "application/json"}
WITH_KEY = {**JSON, "Authorization": f"Bearer {KEY}"}

FLAVOURS: dict[str, list[str]] = {
    "plain": ["--max-num-seqs", "2"],
    "closed": ["--api-key", KEY, "--max-num-queued-reqs", "1"],
    "pooling": ["--runner", "pooling", "--convert", "embed"],
    "dead": [],
}
"""How the server was started -> flags of the real one. The dead one has a model that it cannot compute."""

_LONG = "hello world " * 3000
_HI = [{"role": "user", "content": "Hi"}]
_WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
_STEADILY = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
_CHAT, _TEXT = "/v1/chat/completions", "/v1/completions"
_ON = {"ignore_eos": True, "temperature": 0, "seed": 7}

REQUESTS: list[Ask] = [
    *get("plain", "/health", "/ping", "/version", "/v1/models", "/load", "/nope", "/v1/models/x", _TEXT, "/tokenize"),
    *post("plain", "/health", "{}", headers=JSON),
    *post(
        "plain",
        _CHAT,
        {"model": "tiny", "messages": _HI, "max_tokens": 3, "stream": True, **_ON},
        {"messages": _HI, "max_tokens": 2, **_WITH_USAGE, **_ON},
        {"messages": _HI, "max_tokens": 2, **_STEADILY, **_ON},
        {"messages": _HI, "max_tokens": 2, "stream": True, "return_token_ids": True, **_ON},
        {"messages": _HI, "max_completion_tokens": 2, **_ON},
        {"messages": _HI, "max_tokens": 2, "return_token_ids": True, **_ON},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "max_tokens": 1, **_ON},
        "{}",
        '{"messages":[]}',
        '{"messages":"x"}',
        {"messages": _HI, "temperature": "hot"},
        {"messages": _HI, "temperature": -1},
        {"messages": _HI, "temperature": [1]},
        {"messages": _HI, "top_p": 2},
        {"messages": _HI, "min_p": 3},
        {"messages": _HI, "top_k": -5},
        {"messages": _HI, "repetition_penalty": -2},
        {"messages": _HI, "presence_penalty": 5},
        {"messages": _HI, "frequency_penalty": -5},
        {"messages": _HI, "n": 0},
        {"messages": _HI, "n": "x"},
        {"messages": _HI, "seed": "x"},
        {"messages": _HI, "seed": 2**63},
        {"messages": _HI, "max_tokens": "x"},
        {"messages": _HI, "max_tokens": 1.5},
        {"messages": _HI, "max_tokens": 0},
        {"messages": _HI, "max_tokens": 100_000},
        {"messages": _HI, "stream": "maybe"},
        {"messages": _HI, "stop": [1]},
        {"messages": _HI, "stop": 7},
        {"messages": _HI, "model": "nope"},
        {"messages": _HI, "stream_options": {"include_usage": True}},
        {"messages": _HI, "top_logprobs": 1},
        {"messages": [{"role": "user", "content": _LONG}]},
        {"messages": [{"role": "user", "content": "q~" * 200}], "stream": True},
        "[1]",
        '{"messages":[], oops',
        "",
        headers=JSON,
    ),
    *post("plain", _CHAT, {"messages": _HI, "max_tokens": 1, "stream": True, **_ON}, headers=JSON),
    *post(
        "plain",
        _TEXT,
        {"model": "tiny", "prompt": "Once upon", "max_tokens": 3, "stream": True, **_ON},
        {"prompt": "Once upon", "max_tokens": 3, **_WITH_USAGE, **_ON},
        {"prompt": "Once upon", "max_tokens": 3, **_STEADILY, **_ON},
        {"prompt": "Once upon", "max_tokens": 2, "stream": True, "return_token_ids": True, **_ON},
        {"prompt": "Once upon", "max_tokens": 3, **_ON},
        {"prompt": "Once upon", "max_tokens": 1, "return_token_ids": True, **_ON},
        {"prompt": "a", **_ON},
        {"prompt": "a", "max_tokens": 1, "echo": True, "no_such_field": 1, "top_k": 0, "seed": True},
        {"prompt": [5, 6], "max_tokens": 1, **_ON},
        {"prompt": [5] * 250, "max_tokens": 100, **_ON},
        {"prompt": [5] * 256, "max_tokens": 1},
        {"prompt": [5] * 300, "max_tokens": 1},
        "{}",
        '{"prompt":7}',
        '{"prompt":[]}',
        '{"prompt":""}',
        {"prompt": "a", "temperature": "hot"},
        {"prompt": "a", "temperature": 5, "stream": True},
        {"prompt": "a", "max_tokens": -1},
        {"prompt": _LONG, "stream": True},
        {"prompt": "a", "model": "nope"},
        headers=JSON,
    ),
    *post("plain", _TEXT, '{"prompt":"a","max_tokens":1}', headers={"Content-Type": "text/plain"}),
    *post(
        "plain",
        "/tokenize",
        '{"prompt":"Hi there"}',
        '{"prompt":"Hi","return_token_strs":true}',
        {"messages": _HI},
        "{}",
        '{"prompt":"Hi","model":"nope"}',
        headers=JSON,
    ),
    *post("plain", "/detokenize", '{"tokens":[5,6]}', '{"tokens":"x"}', headers=JSON),
    *post("plain", "/v1/embeddings", '{"input":"a"}', headers=JSON),
    *post("plain", "/rerank", '{"query":"a","documents":["b"]}', headers=JSON),
    *get("plain", "/metrics"),
    *get("closed", "/health", "/version", "/metrics", "/v1/models", "/v1/nope", "/nope"),
    *get("closed", "/v1/models", "/v1/nope", headers=WITH_KEY),
    *post("closed", _CHAT, {"messages": _HI, "max_tokens": 1}, headers=JSON),
    *post("closed", _CHAT, {"messages": _HI, "max_tokens": 1, **_ON}, headers=WITH_KEY),
    *post("closed", "/tokenize", '{"prompt":"Hi"}', headers=JSON),
    *get("pooling", "/health", "/v1/models"),
    *post(
        "pooling",
        "/v1/embeddings",
        '{"input":["a b","c"],"model":"tiny"}',
        '{"input":"a","encoding_format":"base64"}',
        '{"input":[5,6]}',
        '{"input":[[5,6],[7]]}',
        "{}",
        '{"input":"a","model":"nope"}',
        headers=JSON,
    ),
    *post(
        "pooling",
        "/rerank",
        '{"query":"a","documents":["b","c d"]}',
        '{"query":"a","documents":["b","c d"],"top_n":1,"model":"tiny"}',
        "{}",
        headers=JSON,
    ),
    *post("pooling", "/v1/rerank", '{"query":"a","documents":["b"]}', headers=JSON),
    *post("pooling", _CHAT, {"messages": _HI, "max_tokens": 1}, headers=JSON),
    *post("dead", _CHAT, {"messages": _HI, "max_tokens": 2, "stream": True, **_ON}, headers=JSON),
    *post("dead", _CHAT, {"messages": _HI, "max_tokens": 2, "stream": True, **_ON}, headers=JSON),
    *post("dead", _TEXT, {"prompt": "a", "max_tokens": 2}, headers=JSON),
    *get("dead", "/health", "/v1/models", "/version"),
]


def recorded() -> list[tuple[Ask, Recorded]]:
    return read(FILE, REQUESTS)


@contextmanager
def serving(flavour: str) -> Iterator[str]:
    """Run the real server and yield its URL when it is ready."""
    with tempfile.TemporaryDirectory() as folder:
        model = _broken_model(Path(folder)) if flavour == "dead" else ENVIRONMENT / "tiny-llama"
        command = [
            str(ENVIRONMENT / "bin/vllm"), "serve", str(model), "--served-model-name", "tiny", "--port", str(PORT),
            "--host", "127.0.0.1", "--max-model-len", "256", "--dtype", "bfloat16", "--enforce-eager",
            "--gpu-memory-utilization", "0.2", *FLAVOURS[flavour],
        ]  # fmt: skip
        quiet = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        with subprocess.Popen(
            command, env={**os.environ, **quiet}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            try:
                trio.run(_wait_listening, server)
                yield f"http://127.0.0.1:{PORT}"
            finally:
                server.terminate()


def _broken_model(folder: Path) -> Path:
    """Return a copy of the model with heads too small for vLLM on a CPU: its engine dies at the first request."""
    model = folder / "broken"
    shutil.copytree(ENVIRONMENT / "tiny-llama", model)
    config = json.loads((model / "config.json").read_text())
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    config |= {
        "num_attention_heads": 2 * heads,
        "num_key_value_heads": 2 * groups,
        "head_dim": config["hidden_size"] // (2 * heads),
    }
    (model / "config.json").write_text(json.dumps(config))
    return model


async def _wait_listening(server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        try:
            stream = await trio.open_tcp_stream("127.0.0.1", PORT)
        except OSError:
            await trio.sleep(0.5)
            continue
        await stream.aclose()
        return
    raise RuntimeError(f"vLLM ended with {server.returncode}")


def main() -> None:
    answers = {}
    for flavour in FLAVOURS:
        with serving(flavour) as url:
            sys.stderr.write(f"recording: {flavour}\n")
            answers[flavour] = iter(trio.run(call_all, url, REQUESTS, flavour))
    write(FILE, [next(answers[ask.flavour]) for ask in REQUESTS])


if __name__ == "__main__":
    main()
