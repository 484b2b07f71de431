"""Send a task to a running daemon, print its first tokens as they come, and cancel it.

python examples/stream_and_cancel.py http://127.0.0.1:8080
"""

import json
import sys
import uuid

import httpx

from http_util.sse import Decoder


def main(url: str, tokens: int = 20) -> None:
    task_id = str(uuid.uuid4())
    task = {
        "task_id": task_id,
        "session_id": str(uuid.uuid4()),
        "workload": "completion",
        "model_ref": "default",
        "engine": "llamacpp",
        "ctx": 2048,
        "priority": "interactive",
        "max_tokens": 1000,
        "deadline_ms": 60_000,
        "prompt": "Once upon a time",
    }
    with httpx.Client(base_url=url, timeout=60) as client:
        client.post("/v1/tasks", json=task).raise_for_status()
        with client.stream("GET", f"/v1/tasks/{task_id}/stream") as stream:
            decoder, is_canceled = Decoder(), False
            for chunk in stream.iter_bytes():  # not iter_lines: it also splits at U+2028, which JSON may hold
                for event in decoder.feed(chunk):
                    data = json.loads(event.data)
                    if event.name == "token":
                        print(data["t"], end="", flush=True)
                        if data["i"] >= tokens and not is_canceled:
                            is_canceled = True
                            client.post(f"/v1/tasks/{task_id}/cancel").raise_for_status()
                    elif event.name in {"end", "error"}:
                        print(f"\n[{event.name}] {data}")


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["http://127.0.0.1:8080"])
