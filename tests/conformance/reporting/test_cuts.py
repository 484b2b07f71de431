"""What is too long is cut after it was masked: of a secret that lies across the cut nothing is left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from conformance.api import describe, mask_for
from conformance.canary import Canaries
from conformance.check import MOST_SEEDS
from conformance.failure import failure_text, told
from conformance.report import Report
from conformance.reporting import FILES, report_files
from conformance.reporting.cleaning import MOST_CHARS
from conformance.under_test import adapter

from .runs import SPEC, run

KEY = "Zq7-kX29vLpW4tRb8mNc.5Hd"
LINE = 400
"""Characters of a line on the terminal."""
CUTS = [*range(LINE - 46, LINE + 1, 6), *range(MOST_CHARS - 30, MOST_CHARS + 1, 10)]
SHORT = 6
"""Characters of a secret in a row that nobody may see."""


def pieces(secret: str) -> list[str]:
    return [secret[start : start + SHORT] for start in range(len(secret) - SHORT + 1)]


def terminal(text: str, *secrets: str) -> str:
    out = io.StringIO()
    report = Report(Console(file=out, width=200, highlight=False), mask_for(0, secrets))
    report.finish(run(text, kit_error=text), SPEC, 1.0, is_verbose=True)
    return out.getvalue()


@pytest.mark.req("HTU-1004f")
@pytest.mark.parametrize("at", CUTS)
def test_nothing_of_a_canary_across_a_cut_is_left_on_the_terminal(at: int) -> None:
    secret = Canaries(0)["api_key"]
    text = f"{'x ' * (at // 2)}{secret} and more {'y ' * 50}"
    report = run(text)
    for check in report.checks:
        shown = failure_text(check, SPEC, "mine") + describe(check, report)
        assert not [piece for piece in pieces(secret) if piece in shown]
    assert not [piece for piece in pieces(secret) if piece in terminal(text)]


@pytest.mark.req("HTU-1004f")
@pytest.mark.parametrize("at", CUTS)
def test_nothing_of_a_setting_across_a_cut_is_left_on_the_terminal(at: int) -> None:
    text = f"{'x ' * (at // 2)}{KEY} and more {'y ' * 50}"
    mask = mask_for(0, [KEY])
    shown = [told(check, SPEC, adapter("mine"), mask) for check in run(text).checks]
    for each in (*shown, terminal(text, KEY)):
        assert not [piece for piece in pieces(KEY) if piece in each]


@pytest.mark.req("HTU-1004f")
@pytest.mark.parametrize("at", CUTS[::2])
def test_nothing_of_a_secret_across_a_cut_is_left_in_any_file(at: int) -> None:
    canaries = [Canaries(extra)["url"] for extra in range(MOST_SEEDS)]
    secrets = [canaries[0], canaries[3], KEY]
    text = "".join(f"{'x ' * (at // 2)}{secret} {'y ' * 50}" for secret in secrets)
    files = report_files(run(text, kit_error=text), SPEC, [KEY])
    assert set(files) == set(FILES)
    for name, content in files.items():
        shown = content.decode()
        assert not [piece for secret in secrets for piece in pieces(secret) if piece in shown], name
