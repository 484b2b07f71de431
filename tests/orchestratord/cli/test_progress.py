import io

import trio
from rich.console import Console

from orchestratord.cli.progress import Bars, Lines, open_progress
from orchestratord.embedded.reports import Progress, Step


def copying(fraction: float) -> Progress:
    return Progress(step=Step.ASSEMBLING, human="writing", fraction=fraction)


def loading(elapsed_s: float) -> Progress:
    return Progress(step=Step.LOADING, human="loads the model", elapsed_s=elapsed_s)


READY = Progress(step=Step.READY, human="is ready", elapsed_s=2.0)
DIED = Progress(step=Step.DIED, human="ended")


async def test_lines_come_at_each_step_and_every_few_seconds(autojump_clock: trio.testing.MockClock) -> None:
    err = io.StringIO()
    lines = Lines(err)
    for second in range(12):
        lines(copying(second / 12))
        await trio.sleep(1)
    lines(loading(0))
    for report in (READY, DIED, DIED):
        lines(report)
    assert err.getvalue().splitlines() == [
        "writing",
        "writing: 42%",
        "writing: 83%",
        "loads the model",
        "is ready",
        "ended",
        "ended",
    ]


def test_bars_are_gone_when_their_step_is_over_and_what_lasts_stays() -> None:
    err = io.StringIO()
    bars = Bars(Console(file=err, force_terminal=True, width=80))
    for report in (copying(0.5), copying(1.0), loading(0), loading(1), READY, DIED):
        bars(report)
    shown = err.getvalue()
    assert "100%" in shown
    assert shown.rstrip().endswith("is ready\nended")
    assert bars._shown is None


def test_what_is_not_a_terminal_gets_lines() -> None:
    assert isinstance(open_progress(io.StringIO()), Lines)
