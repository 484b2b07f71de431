"""What a server counts for each model, and how `/stats`, gRPC and `/metrics` show it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .models import PERMANENT_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .protobuf import Fields

_STEPS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss")


@dataclass(slots=True)
class Tally:
    """The counts of one model; times in seconds. `failures` is by the reason that metrics name."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    last_at_s: float = 0.0

    def note(self, *, at_s: float, queue_s: float, infer_s: float, failure: str | None) -> None:
        """Count one inference that has ended; `failure` is `OTHER`, `CANCELED`, … or None."""
        ended = "success" if failure is None else "fail"
        times = {ended: queue_s + infer_s, "queue": queue_s, "compute_infer": infer_s}
        if failure is not None:
            self.failures[failure] += 1
        for step, seconds in times.items():
            self.counts[step] += 1
            self.seconds[step] += seconds  # type: ignore[assignment]  # a Counter of floats adds up as well
        self.last_at_s = at_s

    @property
    def batches(self) -> list[Fields]:
        """The entries of `batch_stats`: requests are worked on one by one here."""
        steps = {step: self._step(step) for step in _STEPS if step.startswith("compute")}
        return [{"batch_size": 1, **steps}] if self.counts["success"] else []

    def _step(self, step: str) -> dict[str, int]:
        return {"count": self.counts[step], "ns": round(self.seconds[step] * 1e9)}

    def fields(self, model: str) -> dict[str, Fields | str | int]:
        """Return an entry of `model_stats`."""
        steps = {step: self._step(step) for step in _STEPS}
        return {
            "name": model,
            "version": PERMANENT_VERSION,
            "last_inference": round(self.last_at_s * 1000),
            "inference_count": self.counts["success"],
            "execution_count": self.counts["success"],
            "inference_stats": steps,
        }


def metrics(tallies: Mapping[str, Tally], pending: Mapping[str, int], seats: Mapping[str, int], dialect: str) -> bytes:
    """Return the text of `/metrics`; `seats` are the counts of the in-flight batcher."""
    lines = [*_families(tallies, pending), *(_batcher(seats) if dialect != "vllm" else ())]
    return "".join(f"{line}\n" for line in lines).encode()


def _families(tallies: Mapping[str, Tally], pending: Mapping[str, int]) -> Iterator[str]:
    yield from _family("nv_inference_request_success", "counter", {m: t.counts["success"] for m, t in tallies.items()})
    yield "# TYPE nv_inference_request_failure counter"
    for model, tally in tallies.items():
        for reason in ("REJECTED", "CANCELED", "BACKEND", "OTHER"):
            labels = f'model="{model}",reason="{reason}",version="{PERMANENT_VERSION}"'
            yield f"nv_inference_request_failure{{{labels}}} {tally.failures[reason]}"
    for name in ("nv_inference_count", "nv_inference_exec_count"):
        yield from _family(name, "counter", {m: t.counts["success"] for m, t in tallies.items()})
    yield from _family("nv_inference_pending_request_count", "gauge", pending)
    for name, step in _DURATIONS.items():
        yield from _family(name, "counter", {m: round(t.seconds[step] * 1e6) for m, t in tallies.items()})


_DURATIONS = {
    "nv_inference_request_duration_us": "success",
    "nv_inference_queue_duration_us": "queue",
    "nv_inference_compute_infer_duration_us": "compute_infer",
}


def _family(name: str, kind: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}"
    for model, value in values.items():
        yield f'{name}{{model="{model}",version="{PERMANENT_VERSION}"}} {value}'


def _batcher(seats: Mapping[str, int]) -> Iterator[str]:
    labels = f'model="tensorrt_llm",version="{PERMANENT_VERSION}"'
    yield "# TYPE nv_trt_llm_request_metrics gauge"
    for kind in ("max", "active", "waiting", "scheduled", "context"):
        yield f'nv_trt_llm_request_metrics{{{labels},request_type="{kind}"}} {seats[kind]}'
    yield "# TYPE nv_trt_llm_kv_cache_block_metrics gauge"
    for kind, value in _blocks(seats).items():
        yield f'nv_trt_llm_kv_cache_block_metrics{{kv_cache_block_type="{kind}",{labels}}} {value:g}'


def _blocks(seats: Mapping[str, int]) -> dict[str, float]:
    most = 64 * max(seats["max"], 1)
    used = min(64 * seats["active"], most)
    return {"max": most, "free": most - used, "used": used, "tokens_per": 64, "fraction": used / most}
