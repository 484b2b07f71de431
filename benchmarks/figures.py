"""What a run of the benchmark has found, and the table that says it as ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Row = Sequence[str]

UNKNOWN = "-"


class Flood(msgspec.Struct, frozen=True):
    """One relay under flood; `cpu_us` is the relay's processor time per token in microseconds."""

    relay: str
    streams: int
    tokens: int
    tokens_per_s: float
    cpu_us: float | None


class Paced(msgspec.Struct, frozen=True):
    """One relay under pace; delays in milliseconds from the engine's send to the client's receive."""

    relay: str
    streams: int
    tokens: int
    p50_ms: float
    p99_ms: float
    cpu_us: float | None


class Memory(msgspec.Struct, frozen=True):
    """One relay's resident memory in MB, before and with the streams open."""

    relay: str
    streams: int
    idle_mb: float | None
    open_mb: float | None


class Report(msgspec.Struct):
    """All figures of one run; those of the engine reached directly come first."""

    flood: list[Flood] = []
    paced: list[Paced] = []
    memory: list[Memory] = []

    def __str__(self) -> str:
        tables = (_flood(self.flood), _paced(self.paced), _memory(self.memory))
        return "\n\n".join(filter(None, tables))


def _flood(runs: Sequence[Flood]) -> str:
    if not runs:
        return ""
    rates = {run.relay: run.tokens_per_s for run in runs}
    rows = [
        (
            run.relay,
            f"{run.tokens_per_s:,.0f}",
            *(_ratio(run.tokens_per_s, rates.get(other)) for other in ("direct", "nginx", "naive")),
            _number(run.cpu_us),
        )
        for run in runs
    ]
    head = ("flood", "tokens/s", "x direct", "x nginx", "x naive", "cpu us/token")
    caption = f"{runs[0].streams} streams, one engine send per token, median of the runs"
    return _table(head, rows, f"{caption}; what is relayed arrives in larger pieces")


def _paced(runs: Sequence[Paced]) -> str:
    if not runs:
        return ""
    direct = runs[0]
    rows = [
        (
            run.relay,
            f"{run.p50_ms:.2f}",
            f"{run.p99_ms:.2f}",
            f"{run.p50_ms - direct.p50_ms:+.2f}",
            f"{run.p99_ms - direct.p99_ms:+.2f}",
            _number(run.cpu_us),
        )
        for run in runs
    ]
    head = ("paced", "p50 ms", "p99 ms", "p50 added", "p99 added", "cpu us/token")
    return _table(head, rows, f"{direct.streams} streams x 50 tokens/s, delay per token; added: beyond direct")


def _memory(runs: Sequence[Memory]) -> str:
    if not runs:
        return ""
    rows = [(run.relay, _number(run.idle_mb), _number(run.open_mb)) for run in runs]
    return _table(("memory", "idle MB", "open MB"), rows, f"resident, before and with {runs[0].streams} open streams")


def _ratio(figure: float, other: float | None) -> str:
    return f"{figure / other:.2f}" if other else UNKNOWN


def _number(figure: float | None) -> str:
    return UNKNOWN if figure is None else f"{figure:.1f}"


def _table(head: Row, rows: Iterable[Row], caption: str) -> str:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    texts = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    return "\n".join((texts[0], "-" * len(texts[0]), *texts[1:], f"({caption})"))
