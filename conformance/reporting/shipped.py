"""`python -m conformance.reporting.shipped`: the dated reports of the adapters that ship with the service.

Runs the whole suite against every subject of the kit and writes small files below `conformance/reports/SUITE/`: a
report, a badge and a summary for each adapter, `cancellation.json` and `index.html`, which shows checks x adapters, for
all of them. These are the same bytes for the same code. What is not, day and machine, stands in `made.json` alone,
which is written when something else has changed.

  python -m conformance.reporting.shipped            run all and write
  python -m conformance.reporting.shipped --check    run all, write nothing, fail if a file would change
"""

from __future__ import annotations

import argparse
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import specs
from conformance.api import run_suite
from conformance.outcome import Exit
from conformance.subjects import SUBJECTS

from .cancellation import Costs, measure
from .overview import overview
from .record import Record, read_record
from .recording import suite
from .writer import report_files

if TYPE_CHECKING:
    from collections.abc import Mapping

REPORTS = Path(__file__).parents[1] / "reports"
KEPT = ("report.json", "badge.json", "SUMMARY.md")
"""Files of a run that are kept for a shipped adapter."""
CANCELLATION, INDEX, MADE = "cancellation.json", "index.html", "made.json"


class Made(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When and on what the reports were made: all about them that does not follow from the code."""

    day: str
    python: str
    trio: str
    system: str


class Shipped(msgspec.Struct, frozen=True, kw_only=True):
    """The kept reports of one suite version."""

    version: str
    made: Made
    records: tuple[Record, ...]
    costs: tuple[Costs, ...]


class _Arguments(argparse.Namespace):
    check: bool


def main(argv: list[str] | None = None) -> int:
    """Run the suite against every subject and write the reports; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.reporting.shipped", description="Report on all shipped adapters."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the kept reports are behind")
    arguments = parser.parse_args(argv, namespace=_Arguments())
    folder = REPORTS / suite(specs.load()).version
    files = all_files()
    changed = [name for name, text in files.items() if _behind(folder / name, text)]
    if not arguments.check and changed:
        _write(folder, files)
    for name in changed:
        sys.stdout.write(f"{'behind' if arguments.check else 'wrote'} {folder / name}\n")
    return _exit_code(files, is_behind=arguments.check and bool(changed))


def all_files() -> dict[str, bytes]:
    """Run everything, in a process for each core; return path below the folder -> bytes. Takes minutes."""
    files: dict[str, bytes] = {}
    costs: list[Costs] = []
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for name, (made, cost) in zip(SUBJECTS, pool.map(files_of, SUBJECTS), strict=True):
            sys.stderr.write(f"{name} is done\n")
            files |= {f"{name}/{kept}": made[kept] for kept in KEPT}
            costs.append(cost)
    records = [read_record(files[f"{name}/report.json"]) for name in SUBJECTS]
    files[INDEX] = overview(records).encode()
    files[CANCELLATION] = msgspec.json.format(msgspec.json.encode(costs), indent=2) + b"\n"
    return files


def files_of(name: str) -> tuple[dict[str, bytes], Costs]:
    """Return the files of a subject's report, and what a cancel costs with it."""
    spec = specs.load()
    return report_files(run_suite(SUBJECTS[name]), spec), measure(SUBJECTS[name], spec)


def read_shipped(folder: Path | None = None) -> Shipped:
    """Return the kept reports: those of the newest suite, unless a folder is given."""
    chosen = folder or max((each for each in REPORTS.iterdir() if each.is_dir()), key=_newest)
    paths = {path.parent.name: path for path in chosen.glob("*/report.json")}
    order = [name for name in SUBJECTS if name in paths] + sorted(set(paths) - set(SUBJECTS))
    return Shipped(
        version=chosen.name,
        made=msgspec.json.decode((chosen / MADE).read_bytes(), type=Made),
        records=tuple(read_record(paths[name].read_bytes()) for name in order),
        costs=msgspec.json.decode((chosen / CANCELLATION).read_bytes(), type=tuple[Costs, ...]),
    )


def _newest(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in folder.name.split("."))


def _behind(path: Path, text: bytes) -> bool:
    return not path.exists() or path.read_bytes() != text


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    made = Made(
        day=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        trio=version("trio"),
        system=f"{platform.system()} {platform.machine()}",
    )
    for name, text in {**files, MADE: msgspec.json.format(msgspec.json.encode(made), indent=2) + b"\n"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)


def _exit_code(files: Mapping[str, bytes], *, is_behind: bool) -> Exit:
    records = [read_record(text) for name, text in files.items() if name.endswith("/report.json")]
    codes = {Exit(record.exit_code) for record in records} - {Exit.CONFORMING}
    return max(codes, default=Exit.NOT_CONFORMING if is_behind else Exit.CONFORMING)


if __name__ == "__main__":
    sys.exit(main())
