"""How fast does the service relay tokens? One table, one run, as ratios to others on the same machine.

Three questions, each asked of the same engine: how many tokens a second pass when it floods, how much later a token
arrives when it is paced, and how much memory many open streams take. Engine, relay and client are one process each.
Runs alternate between the relays and the median counts, since machines are shared and noisy; the processor time per
token, which others disturb least, stands beside the speed.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
from contextlib import ExitStack
from time import sleep
from typing import TYPE_CHECKING

import msgspec

from .client import Job, Outcome
from .contestants import Contestant, engine, naive, nginx, nginx_binary, orchestratord
from .figures import Flood, Memory, Paced, Report
from .processes import Broken, child, cpu_s, first_line, module, resident_mb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

NAIVE_SHARE = 16
"""The naive relay gets one token in so many, or it would take most of the time."""
SETTLE_S = 2.0
_EXAMPLES = """\
examples:
  python -m benchmarks.relay                      everything, in about a minute
  python -m benchmarks.relay --quick              the same in ten seconds, too short to quote
  python -m benchmarks.relay --flood --streams 32 --tokens 20000
  python -m benchmarks.relay --paced --json       only the delays, as JSON
  python -m benchmarks.relay --memory
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _leave)
    try:
        report = _run(options)
    except Broken as broken:
        print(f"benchmark: {broken}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nbenchmark: interrupted, every process has been stopped", file=sys.stderr)
        return 130
    print(msgspec.json.format(msgspec.json.encode(report)).decode() if options.json else report)
    return 0


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.relay",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--flood", action="store_true", help="only (or also) tokens per second under flood")
    parser.add_argument("--paced", action="store_true", help="only (or also) delay per token under pace")
    parser.add_argument("--memory", action="store_true", help="only (or also) memory with many open streams")
    parser.add_argument("--streams", type=int, metavar="N", help="streams at once (flood 8, paced 64, memory 500)")
    parser.add_argument("--tokens", type=int, metavar="N", help="tokens per stream (flood 20000, paced 150)")
    parser.add_argument("--repeat", type=int, metavar="N", help="runs of which the median counts (3)")
    parser.add_argument("--quick", action="store_true", help="little of everything: does it work at all?")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args(arguments)
    if not (options.flood or options.paced or options.memory):
        options.flood = options.paced = options.memory = True
    options.repeat = options.repeat or (1 if options.quick else 3)
    return options


def _run(options: argparse.Namespace) -> Report:
    report = Report()
    with engine() as url:
        if options.flood or options.paced:
            with ExitStack() as stack:
                contestants = _enter(stack, url)
                if options.flood:
                    report.flood = _measure_flood(contestants, options)
                if options.paced:
                    report.paced = _measure_paced(contestants, options)
        if options.memory:  # of fresh processes
            with ExitStack() as stack:
                report.memory = _measure_memory(_enter(stack, url), options)
    return report


def _enter(stack: ExitStack, engine_url: str) -> list[Contestant]:
    """Start every relay; the engine itself comes first."""
    contestants = [Contestant("direct", engine_url, None)]
    if binary := nginx_binary():
        contestants.append(stack.enter_context(nginx(engine_url, binary)))
    else:
        _tell("no nginx on the PATH: the table does without it")
    contestants.append(stack.enter_context(orchestratord(engine_url)))
    contestants.append(stack.enter_context(naive(engine_url)))
    return contestants


def _measure_flood(contestants: list[Contestant], options: argparse.Namespace) -> list[Flood]:
    streams = options.streams or 8
    tokens = options.tokens or (500 if options.quick else 20_000)
    runs: dict[str, list[Flood]] = {each.name: [] for each in contestants}
    for turn in range(options.repeat):
        for each in contestants:
            share = max(1, tokens // NAIVE_SHARE) if each.name == "naive" else tokens
            _tell(f"flood {turn + 1}/{options.repeat}: {each.name}, {streams} streams x {share} tokens")
            got, cpu = _load(each, _job(each, streams, share))
            rate = got.tokens / got.seconds if got.seconds else 0.0
            runs[each.name].append(Flood(each.name, streams, got.tokens, rate, _per_token(cpu, got)))
    return [sorted(found, key=lambda run: run.tokens_per_s)[len(found) // 2] for found in runs.values()]


def _measure_paced(contestants: list[Contestant], options: argparse.Namespace) -> list[Paced]:
    streams = options.streams or (8 if options.quick else 64)
    tokens = options.tokens or (10 if options.quick else 150)
    results = []
    for each in contestants:
        _tell(f"paced: {each.name}, {streams} streams x 50 tokens/s, {tokens} tokens each")
        got, cpu = _load(each, _job(each, streams, tokens, every_ms=20))
        percentiles = statistics.quantiles(got.delays_us, n=100)
        per_token = _per_token(cpu, got)
        results.append(Paced(each.name, streams, got.tokens, percentiles[49] / 1000, percentiles[98] / 1000, per_token))
    return results


def _measure_memory(contestants: list[Contestant], options: argparse.Namespace) -> list[Memory]:
    streams = options.streams or (20 if options.quick else 500)
    results = []
    for each in contestants:
        if each.pid is None:
            continue
        _tell(f"memory: {each.name}, {streams} open streams")
        idle = resident_mb(each.pid)
        job = msgspec.structs.replace(_job(each, streams, 1000, every_ms=1000), hold=True)
        with child(_client(each, job)) as process:
            first_line(process)
            sleep(0.2 if options.quick else SETTLE_S)
            results.append(Memory(each.name, streams, idle, resident_mb(each.pid)))
    return results


def _job(each: Contestant, streams: int, tokens: int, every_ms: int = 0) -> Job:
    return Job(surface=each.surface, frames=each.frames, streams=streams, tokens=tokens, every_ms=every_ms)


def _client(each: Contestant, job: Job) -> list[str]:
    return module("benchmarks.client", each.url, msgspec.json.encode(job).decode())


def _load(each: Contestant, job: Job) -> tuple[Outcome, float | None]:
    """Do the job; return what came and the processor time that the relay spent on it."""
    before = None if each.pid is None else cpu_s(each.pid)
    with child(_client(each, job)) as process:
        outcome = msgspec.json.decode(first_line(process), type=Outcome)
    after = None if each.pid is None else cpu_s(each.pid)
    if outcome.complaints:
        raise Broken(f"{each.name}: " + "; ".join(outcome.complaints))
    return outcome, None if before is None or after is None else after - before


def _per_token(cpu: float | None, got: Outcome) -> float | None:
    return None if cpu is None else 1e6 * cpu / got.tokens


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
