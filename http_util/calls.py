"""Short calls: the whole answer at once, bounded in time and size.

A call is tried again only if its method is idempotent, the failure is retriable and there is time left for the pause;
the bound covers all tries and pauses, so delays cannot multiply. Streams are `stream.py`.

Implements: HTU-1002, HTU-1006.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import trio

from adapter_api import DeadlineUnmet, WorkerError

from . import _exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._exchange import Classify
    from .backoff import RetryPolicy

_IDEMPOTENT = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with a status of the 2xx class; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


async def fetch(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    bounds_s: float,
    random: Callable[[], float],
    classify: Classify,
    phase: str,
    json: object | None = None,
    headers: Mapping[str, str] = _exchange.NO_HEADERS,
    retry: RetryPolicy | None = None,
    max_body_bytes: int = 1_048_576,
) -> Reply:
    """Call the engine and return its answer; raise `WorkerError` for anything but a 2xx status.

    `bounds_s` bounds the whole: past it the error of the last try is raised, or `DeadlineUnmet` if no try had ended.
    `random()` in [0, 1) draws the pauses between tries. Cancelled leaves no connection behind.
    """
    limits = httpx.Timeout(None, connect=client.timeout.connect, pool=client.timeout.pool)
    parts = _exchange.RequestParts(json=json, headers=headers)
    request = _exchange.build(client, method, path, parts, limits, phase)
    tries = retry.attempts if retry is not None and method.upper() in _IDEMPOTENT else 1
    error: WorkerError | None = None
    with trio.move_on_after(bounds_s) as bound:
        for n in range(tries):
            try:
                return await _try(client, request, classify, phase, max_body_bytes)
            except WorkerError as failure:
                error = failure
            if retry is None or n + 1 == tries or not error.retriable:
                break
            pause_s = retry.delay(n, random(), (error.retry_after_ms or 0) / 1000)
            if trio.current_time() + pause_s >= bound.deadline:
                break
            await trio.sleep(pause_s)
    raise error or DeadlineUnmet(f"{phase}: no answer within {bounds_s:g} s", retriable=True)


async def _try(
    client: httpx.AsyncClient, request: httpx.Request, classify: Classify, phase: str, max_body_bytes: int
) -> Reply:
    response = await _exchange.send(client, request, phase)
    async with _exchange.closing(response) as body:
        if not response.is_success:
            raise classify(await _exchange.refusal(response, body, phase))
        _exchange.refuse_compressed(response, phase)
        text = await _exchange.read_to_end(body, max_body_bytes, phase)
        return Reply(response.status_code, dict(response.headers), text)
