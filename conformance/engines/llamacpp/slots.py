"""The slots of a llama.cpp server: who holds which, who waits, and what was counted.

A request waits for a slot in order of arrival and without limit, as in the engine; there is no error for "full". Among
free slots the one whose last prompt has most in common is taken. A slot whose client went away stays busy for a while.

No bytes here.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import trio

from .replies import Counts, SlotView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter_api import JsonValue
    from conformance.engines.double import Facts

    from .requests import Completion

GAUGES = frozenset({
    "prompt_tokens_seconds",
    "predicted_tokens_seconds",
    "requests_processing",
    "requests_deferred",
    "n_busy_slots_per_decode",
})


@final
@dataclass(slots=True, eq=False)
class Slot:
    """One seat in the batch; `holder` is None while it is free."""

    id: int
    n_ctx: int
    holder: object | None = None
    task: int | None = None
    tokens: tuple[int, ...] = ()
    counts: Counts = field(default_factory=Counts)
    params: Mapping[str, JsonValue] = field(default_factory=dict)

    def view(self) -> SlotView:
        return SlotView(self.id, self.n_ctx, self.holder is not None, self.task, self.counts, self.params)

    def common_prefix(self, tokens: tuple[int, ...]) -> int:
        pairs = zip(self.tokens, tokens, strict=False)
        return next((n for n, (old, new) in enumerate(pairs) if old != new), min(len(self.tokens), len(tokens)))


@final
class SlotPool:
    """All slots of one server; `facts.live` follows the busy ones and the requests that wait."""

    def __init__(self, count: int, n_ctx: int, facts: Facts, nursery: trio.Nursery) -> None:
        self._facts = facts
        self._nursery = nursery
        self._slots = [Slot(number, n_ctx) for number in range(count)]
        self._free = trio.Semaphore(count)
        self._tasks = 0
        self._prompt_tokens = self._cached_tokens = self._predicted_tokens = 0
        self._overloaded = 0

    def __repr__(self) -> str:
        return f"<SlotPool busy={self.busy}/{len(self._slots)} deferred={self.deferred}>"

    @property
    def busy(self) -> int:
        """How many slots are at work, or not yet let go."""
        return sum(slot.holder is not None for slot in self._slots)

    @property
    def deferred(self) -> int:
        """How many requests wait for a slot."""
        return self._free.statistics().tasks_waiting + self._overloaded

    @contextmanager
    def overload(self) -> Iterator[None]:
        """Count a request that waits and will never get a slot."""
        self._overloaded += 1
        self._facts.live += 1
        try:
            yield
        finally:
            self._overloaded -= 1
            self._facts.live -= 1

    def views(self) -> list[SlotView]:
        """Return the slots as `/slots` shows them."""
        return [slot.view() for slot in self._slots]

    async def take(self, holder: object, request: Completion) -> Slot:
        """Wait for a free slot and give it to `holder`. Cancelled: the place in the queue is given up."""
        self._facts.live += 1
        try:
            await self._free.acquire()
        except trio.Cancelled:
            self._facts.live -= 1
            raise
        free = [slot for slot in self._slots if slot.holder is None]
        slot = max(free, key=lambda slot: slot.common_prefix(request.tokens))
        self._tasks += 1
        may_reuse = request.given.get("cache_prompt", True)
        cached = min(slot.common_prefix(request.tokens), len(request.tokens) - 1) if may_reuse else 0
        slot.holder, slot.task, slot.params = holder, self._tasks, request.given
        slot.tokens, slot.counts = request.tokens, Counts(len(request.tokens), max(cached, 0))
        return slot

    def give_back(self, slot: Slot, holder: object, *, after_s: float = 0.0) -> None:
        """Free the slot, now or later; a second time, or after the server died, it does nothing."""
        if after_s:
            self._nursery.start_soon(self._give_back_after, slot, holder, after_s)
        elif slot.holder is holder:
            slot.holder = None
            self._prompt_tokens += slot.counts.prompt - slot.counts.cached
            self._cached_tokens += slot.counts.cached
            self._predicted_tokens += slot.counts.predicted
            self._facts.live -= 1
            self._free.release()

    def clear(self) -> None:
        """Forget everything: the process is a new one."""
        for slot in self._slots:
            if slot.holder is not None:
                self.give_back(slot, slot.holder)
            slot.task, slot.tokens = None, ()
        self._prompt_tokens = self._cached_tokens = self._predicted_tokens = 0

    def metrics(self) -> dict[str, float]:
        """Return the values of `/metrics`."""
        predicted = self._predicted_tokens
        return {
            "prompt_tokens_total": self._prompt_tokens,
            "prompt_tokens_cached_total": self._cached_tokens,
            "prompt_seconds_total": self._prompt_tokens * 0.004,
            "tokens_predicted_total": predicted,
            "tokens_predicted_seconds_total": predicted * 0.01,
            "n_decode_total": predicted,
            "n_tokens_max": max(slot.counts.prompt + slot.counts.predicted for slot in self._slots),
            "spec_decode_num_draft_tokens_total": 0,
            "spec_decode_num_accepted_tokens_total": 0,
            "spec_decode_num_drafts_total": 0,
            "prompt_tokens_seconds": 250 if self._prompt_tokens else 0,
            "predicted_tokens_seconds": 100 if predicted else 0,
            "requests_processing": self.busy,
            "requests_deferred": self.deferred,
            "n_busy_slots_per_decode": 1 if predicted else 0,
        }

    async def _give_back_after(self, slot: Slot, holder: object, seconds: float) -> None:
        await trio.sleep(seconds)
        self.give_back(slot, holder)
