"""What a real Triton server is asked, and the command that asks it again.

The recorded server is the `tritonserver` 2.51 that `nvidia-pytriton` carries, with the models in `triton_models`:

    tritonserver --model-repository tests/conformance_engines/triton_models --http-port 18200 ...
    python -m tests.conformance_engines.recording_triton http://127.0.0.1:18200
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from tests.conformance_engines.recording import Ask, Recorded, call_all, get, post, read, write

FILE = Path(__file__).with_name("recorded_triton.json")
STREAM = "/v2/models/echo/generate_stream"
ONCE = "/v2/models/echo/generate"
INFER = "/v2/models/identity/infer"
_NUMBERS = {"name": "NUMBERS", "datatype": "FP32", "shape": [2], "data": [1, 2.5]}

REQUESTS: list[Ask] = [
    *get("real", "/v2/health/live", "/v2/health/ready", "/v2", "/v2/models/echo", "/v2/models/identity"),
    *get("real", "/v2/models/echo/config", "/v2/models/echo/ready", "/v2/models/echo/versions/1/ready"),
    *get("real", "/v2/models/nope", "/v2/models/nope/ready", "/v2/models/nope/config", "/v2/models/nope/stats"),
    *get("real", "/v2/models/echo/versions/7", "/v2/models/echo/versions/x", "/nope", "/metrics", STREAM),
    *post("real", "/v2/health/live", ""),
    *post("real", "/v2/repository/index", ""),
    *post(
        "real",
        STREAM,
        {"text_input": "Hi", "max_tokens": 2, "stream": True, "id": "r1"},
        {"text_input": "Hi", "max_tokens": 2, "stream": True, "misspelled": 1, "parameters": {"other": "x"}},
        {"text_input": "Hi", "max_tokens": 2, "stream": True, "fail_at": 0},
        {"text_input": "Hi", "max_tokens": 2, "stream": True, "fail_at": 1},
        {"text_input": "Hi", "max_tokens": 0, "stream": True},
    ),
    *post(
        "real",
        ONCE,
        {"text_input": "Hi", "max_tokens": 1},
        {"text_input": "Hi", "max_tokens": 2, "stream": True},
        {"text_input": "Hi", "max_tokens": 2, "stream": True, "fail_at": 0},
        {"text_input": "Hi", "max_tokens": "x"},
        {"text_input": "Hi", "max_tokens": 1.5},
        {"text_input": "Hi", "stream": 1},
        {"text_input": ["Hi", "Ho"]},
        {"text_input": 5},
        {"text_input": "Hi", "id": 5},
        {"text_input": "Hi", "other": [1]},
        {"text_input": "Hi", "other": None},
        {"text_input": "Hi", "parameters": 5},
        "[]",
        "{}",
    ),
    *post("real", ONCE, {"text_input": "Hi"}, headers={"Content-Encoding": "gzip"}),
    *post("real", "/v2/models/nope/generate", {"text_input": "Hi"}),
    *post("real", "/v2/models/echo/versions/3/generate", {"text_input": "Hi"}),
    *post("real", "/v2/models/echo/infer", {"inputs": [_NUMBERS]}),
    *post(
        "real",
        INFER,
        {"inputs": [_NUMBERS]},
        {"id": "r1", "inputs": [_NUMBERS], "outputs": [{"name": "NUMBERS_OUT"}]},
        {"inputs": [{**_NUMBERS, "name": "nope"}]},
        {"inputs": [{**_NUMBERS, "datatype": "INT32", "data": [1, 2]}]},
        {"inputs": [{**_NUMBERS, "shape": [3]}]},
        {"inputs": [{**_NUMBERS, "data": ["x", "y"]}]},
        {"inputs": [_NUMBERS], "outputs": [{"name": "nope"}]},
        {"inputs": 5},
    ),
    *get("real", "/v2/models/identity/stats"),
]


def recorded() -> list[tuple[Ask, Recorded]]:
    return read(FILE, REQUESTS)


def main(url: str) -> None:
    write(FILE, trio.run(call_all, url, REQUESTS, "real"))


if __name__ == "__main__":
    main(sys.argv[1])
