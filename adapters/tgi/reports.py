"""What a TGI server says of itself, read out of its reports.

Pure. `/info` differs between versions (`max_input_length` became `max_input_tokens`, fields came and went), so a field
that is missing is unknown. A gauge of `/metrics` is exported from the first time that it is set: one that is not there
has never been anything but 0.

Implements: ADAPT-3012, OC-ADAPT-5050.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from http_util import prometheus
from http_util.figures import Count


class _Info(msgspec.Struct):
    model_id: str
    version: str | None = None
    sha: str | None = None
    model_sha: str | None = None
    max_concurrent_requests: Count | None = None
    max_total_tokens: Count | None = None


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What holds while one server process lives; `ctx_max` is in tokens, prompt and answer together."""

    version: str | None
    model: str
    revision: str | None
    permits: int | None
    ctx_max: int | None


class Gauges(NamedTuple):
    """How many requests wait for a place in the batch, and how many have one."""

    queued: int
    running: int


def engine_facts(info: bytes) -> EngineFacts:
    """Read the body of `/info`; raise `msgspec.MsgspecError` if it is none."""
    given = msgspec.json.decode(info, type=_Info)
    return EngineFacts(
        version=f"{given.version}+{given.sha}" if given.version and given.sha else given.version or None,
        model=_name(given.model_id) or "unknown",
        revision=given.model_sha or None,
        permits=given.max_concurrent_requests or None,
        ctx_max=given.max_total_tokens or None,
    )


def gauges(body: bytes) -> Gauges:
    """Read the body of `/metrics`."""
    found = prometheus.samples(body)
    return Gauges(
        queued=prometheus.count(found, "tgi_queue_size") or 0,
        running=prometheus.count(found, "tgi_batch_current_size") or 0,
    )


def _name(model_id: str) -> str:
    """Return a name of the hub as it is and a folder's path without its parents, which are nobody's business."""
    return model_id.rstrip("/").rsplit("/", 1)[-1] if model_id.startswith(("/", "./", "../")) else model_id
