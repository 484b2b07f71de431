"""What `conformance service` can be told."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import specs
from conformance.listed import listing
from conformance.loading import unknown
from conformance.reporting.command import add_report

from .catalogue import PROFILES, SERVICE_CHECKS
from .client import Address
from .report import explanation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .check import ServiceCheck

INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell has it."""
ABOUT = """\
Check a running service over HTTP, as a black box, in real time. It sends some four hundred requests, among them a
hundred tasks, which fill its slots and its queue in the end, reads their streams, and cancels what it started. The
defaults are those of the documents; the last options say where the service is configured otherwise.

  conformance service --url http://127.0.0.1:8080
  conformance service --url https://host --token-env TOKEN --engine vllm --model default
  conformance service --url http://127.0.0.1:8080 --profile cancel --report report
  conformance service --list"""


class ServiceArguments(argparse.Namespace):
    """What was given."""

    url: Address
    token_env: str | None
    engine: str
    model: str
    only: list[ServiceCheck]
    profile: str
    level: str
    baseline: Path | None
    report: Path | None
    verbose: bool
    max_tokens: int
    fill: int
    patience: float
    resume_window_ms: int
    runs_on: bool
    auth_optional: bool


_USUAL: dict[str, object] = {
    "token_env": None,
    "engine": "",
    "model": "",
    "max_tokens": 256,
    "fill": 128,
    "patience": 10,
    "resume_window_ms": 0,
    "runs_on": False,
    "auth_optional": False,
}
"""Options about the service, and what they are unless given."""


def repeated(given: ServiceArguments) -> str:
    """Return the options that have to be given again to try the same service again; no secret is in them."""
    words: list[str] = []
    for name, usual in _USUAL.items():
        value = vars(given)[name]
        if value != usual:
            words.append(f"--{name.replace('_', '-')}")
            words += [] if value is True else [shlex.quote(str(value))]
    return "".join(f" {word}" for word in words)


def add_service(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = ABOUT
    parser.add_argument("--url", type=_address, required=True, metavar="URL", help="where the service is")
    parser.add_argument("--token-env", metavar="VAR", help="the environment variable that has the token")
    parser.add_argument("--engine", default="", metavar="NAME", help="send tasks to a pool of this engine")
    parser.add_argument("--model", default="", metavar="REF", help="and to one that answers to this reference")
    parser.add_argument("--only", type=_selection, default=[], metavar="ID,...", help="these checks")
    parser.add_argument(
        "--profile", choices=PROFILES, default="full", metavar="NAME", help=f"one of: {', '.join(PROFILES)} (default)"
    )
    parser.add_argument("--level", choices=("must", "should"), default="should", help="must: leave advice out")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="failures that are known, with reason and date")
    add_report(parser)
    parser.add_argument("--verbose", action="store_true", help="a line for each check")
    parser.add_argument("--list", action=_Shown, nargs=0, help="list the checks and stop")
    parser.add_argument("--explain", action=_Shown, metavar="ID", help="explain a check and stop")
    more = parser.add_argument_group("about the service")
    _number(more, "--max-tokens", "length of an answer that may not be over too soon")
    _number(more, "--fill", "the most tasks that are sent to fill a queue")
    _number(more, "--patience", "seconds to wait for anything")
    _number(more, "--resume-window-ms", "how long a task goes on without a reader")
    more.add_argument("--runs-on", action="store_true", help="a task goes on for good when its reader leaves")
    more.add_argument("--auth-optional", action="store_true", help="the token may be omitted from here")


class _Shown(argparse.Action):
    """Print what is known of the checks, or of one, and stop."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        _namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        _option: str | None = None,
    ) -> None:
        if not isinstance(values, str):
            text = listing(SERVICE_CHECKS.values(), "--explain ID tells all about one of them")
        elif values.upper() in SERVICE_CHECKS:
            text = explanation(SERVICE_CHECKS[values.upper()], specs.load())
        else:
            parser.error(unknown("check", values, SERVICE_CHECKS))
        sys.stdout.write(text + "\n")
        parser.exit()


def _number(group: argparse._ArgumentGroup, name: str, about: str) -> None:
    usual = _USUAL[name[2:].replace("-", "_")]
    group.add_argument(name, type=_count, default=usual, metavar="N", help=f"{about} (default {usual})")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return int(text)


def _address(url: str) -> Address:
    try:
        return Address.of(url)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _selection(text: str) -> list[ServiceCheck]:
    ids = [part.strip().upper() for part in text.split(",") if part.strip()]
    wrong = next((id for id in ids if id not in SERVICE_CHECKS), None)
    if wrong is not None:
        raise argparse.ArgumentTypeError(unknown("check", wrong, SERVICE_CHECKS))
    return [SERVICE_CHECKS[id] for id in dict.fromkeys(ids)]
