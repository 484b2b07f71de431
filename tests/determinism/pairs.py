"""The same task twice, at the same time, on a pool of two replicas that take one task each: so each gets it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestratord.config import config_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestratord.config import Config
    from tests.support.raw_http import Events
    from tests.support.service import Service

    from .corpus import Case

TRIES = 10
"""A short answer may be over before the next task is there, and the same replica is free again."""
_VARIES = frozenset({"decode_time_ms", "decode_ms", "queue_position", "predicted_start_ms"})
"""Fields that tell of time, or of who else was there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One stream: its token frames byte for byte, and what its last frame says that is not about time."""

    tokens: tuple[bytes, ...]
    text: str
    end: Mapping[str, object]
    replica: str
    seed: object


def configuration(urls: Mapping[str, Sequence[str]], settings: Mapping[str, Mapping[str, object]]) -> Config:
    """Return a pool for each engine, named like it, with a replica for each address; `settings` are by engine, too."""
    pools = [
        {
            "id": engine,
            "engine": engine,
            "model_ref": engine,
            "concurrency": 1,
            "replicas": [
                {"id": f"r{n}", "settings": {"url": url, **settings.get(engine, {})}} for n, url in enumerate(addresses)
            ],
        }
        for engine, addresses in urls.items()
    ]
    return config_from({"server": {"bind": "127.0.0.1:0"}, "log": {"format": "json"}, "pools": pools})


async def ask_both(service: Service, pool: str, case: Case) -> tuple[Answer, Answer]:
    """Hand the task in twice and read both streams; again if the first was over before the second began."""
    fields = {**case.fields(), "engine": pool, "model_ref": pool}
    for _ in range(TRIES):
        ids = [await service.admit(headers=(), **fields) for _ in range(2)]
        first, second = [_answer(await service.read(each)) for each in ids]
        if first.replica != second.replica:
            return first, second
    raise AssertionError(f"one replica took every task: {first.replica}")


def _answer(events: Events) -> Answer:
    started, end = events.frames[0], events.frames[-1]
    assert end.event == "end", end.raw.decode()
    kept = {name: value for name, value in end.data.items() if name not in _VARIES}
    tokens = tuple(frame.raw for frame in events.frames if frame.event == "token")
    return Answer(tokens, events.text, kept, _replica(events), started.data.get("seed"))


def _replica(events: Events) -> str:
    return next(str(frame.data["replica_id"]) for frame in events.frames if "replica_id" in frame.data)
