"""The relay that one writes first, on the same stack: the yardstick for what the streaming path brings.

`aiter_lines`, `json.loads`, one `yield` and so one send per token.

    python -m benchmarks.naive ENGINE_URL        prints its URL, serves until its standard input ends
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import TYPE_CHECKING

import httpx
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from quart import Response, request
from quart_trio import QuartTrio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


def create_app(client: httpx.AsyncClient) -> QuartTrio:
    """Return the application; `client` talks to the engine."""
    app = QuartTrio("naive")

    @app.post("/completion")
    async def relay() -> Response:
        response = Response(_frames(client, await request.get_json()), content_type="text/event-stream")
        response.timeout = None
        return response

    return app


async def _frames(client: httpx.AsyncClient, order: object) -> AsyncGenerator[bytes, None]:  # noqa: ASYNC900
    i = 0
    async with client.stream("POST", "/completion", json=order) as answer:
        async for line in answer.aiter_lines():
            if not line.startswith("data:"):
                continue
            frame = json.loads(line[5:])
            if frame["stop"]:
                end = json.dumps({"tokens_out": frame["tokens_predicted"]}, separators=(",", ":"))
                yield f"event: end\ndata: {end}\n\n".encode()  # noqa: ASYNC119 - the usual way is what is measured
                break
            token = json.dumps({"t": frame["content"], "i": i}, ensure_ascii=False, separators=(",", ":"))
            yield f"event: token\ndata: {token}\n\n".encode()  # noqa: ASYNC119
            i += 1


async def main(engine_url: str) -> None:
    """Serve until standard input ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.errorlog = None
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=engine_url, limits=limits, timeout=None) as client, trio.open_nursery() as n:
        n.start_soon(serve, create_app(client), config)
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        await trio.to_thread.run_sync(os.read, sys.stdin.fileno(), 1, abandon_on_cancel=True)
        n.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main, sys.argv[1])
