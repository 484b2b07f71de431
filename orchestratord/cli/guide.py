"""What `up` tells a person once the service answers: a ready-to-paste `curl` for each step of a task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator


def curl_guide(url: str, *, engine: str, ctx: int, token_variable: str | None) -> str:
    """The commands, each with what it is for; `token_variable` holds the token where one is asked for."""
    auth = f' -H "Authorization: Bearer ${token_variable}"' if token_variable else ""
    return "\n".join(f"  # {what}\n  curl {command}\n" for what, command in _steps(url, auth, engine, ctx))


def _steps(url: str, auth: str, engine: str, ctx: int) -> Iterator[tuple[str, str]]:
    task_id = str(uuid4())
    yield "does it answer?", f"-i {url}/readyz"
    yield "what does it serve?", f"-s{auth} {url}/v1/capabilities"
    body = _task(task_id, engine, ctx)
    yield (
        "enqueue a task (its id may be used once)",
        f"-i{auth} -H 'Content-Type: application/json' {url}/v1/tasks -d '{body}'",
    )
    yield "stream its tokens", f"-N{auth} {url}/v1/tasks/{task_id}/stream"
    yield "cancel it, from another terminal", f"-i -X POST{auth} {url}/v1/tasks/{task_id}/cancel"
    yield "how is the pool?", f"-s{auth} {url}/v1/pools/default/health"
    yield "the metrics", f"-s{auth} {url}/metrics"


def _task(task_id: str, engine: str, ctx: int) -> str:
    body = {
        "task_id": task_id,
        "session_id": str(uuid4()),
        "workload": "completion",
        "model_ref": "default",
        "engine": engine,
        "ctx": ctx,
        "priority": "interactive",
        "max_tokens": 200,
        "deadline_ms": 600_000,
        "seed": 7,
        "prompt": "Once upon a time",
    }
    return json.dumps(body)
