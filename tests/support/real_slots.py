"""Asking a real llama.cpp server behind an adapter's back: how many of its slots are busy."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import httpx
import trio

if TYPE_CHECKING:
    from tests.support.real_llamacpp import RealServer

FREED_WITHIN_S = 3.0
"""The server looks for lost clients about once a second, between two batches."""
ASK_EVERY_S = 0.05


async def ask(server: RealServer, method: str, path: str, body: object = None) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        return await client.request(method, path, json=body)


async def wait_busy(server: RealServer, count: int) -> None:
    """Ask the engine until it has so many busy slots; there is no way to be told."""
    with trio.fail_after(FREED_WITHIN_S):
        for _ in itertools.count():
            slots = (await ask(server, "GET", "/slots")).json()
            if sum(slot["is_processing"] for slot in slots) == count:
                return
            await trio.sleep(ASK_EVERY_S)
