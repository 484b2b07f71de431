"""`--report DIR` of `conformance run` and `conformance service`: the flag, and what happens when the run is over.

The folder is tried before the run, so that a run is not lost to a folder that cannot be written to.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.outcome import Exit

from .writer import FILES, CanaryInReport, write_report

if TYPE_CHECKING:
    from collections.abc import Collection

    from conformance.outcome import SuiteReport
    from conformance.under_test import UnderTest
    from specs import Specification


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the flag; `arguments.report` is a folder that can be written to, or None."""
    files = ", ".join(FILES)
    parser.add_argument("--report", type=_folder, metavar="DIR", help=f"write {files} there")


def deliver(
    report: SuiteReport,
    spec: Specification,
    folder: Path | None,
    *,
    secrets: Collection[str] = (),
    about: UnderTest | None = None,
) -> Exit:
    """Write the report if there is a folder for it; return the exit code of the run.

    `secrets` are those that a real engine or a service was opened with, `about` is what was put to the test, if not the
    adapter of the run's name.
    """
    if folder is None:
        return report.exit_code
    try:
        write_report(report, spec, folder, secrets=secrets, about=about)
    except CanaryInReport as leak:
        sys.stderr.write(f"conformance: a fault of the kit: {leak}\n")
        return Exit.KIT_ERROR
    except OSError as error:
        sys.stderr.write(f"conformance: cannot write the report: {error}\n")
        return Exit.USAGE
    sys.stdout.write(f"report in {folder}\n")
    return report.exit_code


def _folder(text: str) -> Path:
    folder = Path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not os.access(folder, os.W_OK):
        raise argparse.ArgumentTypeError(f"{folder} cannot be written to")
    return folder
