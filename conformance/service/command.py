"""`conformance service --url http://...`: hold a running service to the contract, as any client meets it.

It takes real time and sends real tasks; what it starts it cancels. The token is read from the environment, so that it
stands in no command line.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

import trio

import specs
from conformance.check import Level
from conformance.loading import unknown
from conformance.outcome import Exit

from .catalogue import SERVICE_CHECKS
from .client import Address
from .report import explanation, listing, show
from .runner import run_service
from .target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .check import ServiceCheck
    from .runner import Played

ABOUT = """\
Check a running service over HTTP, as a black box. It sends some three hundred requests, among them sixty tasks and as
many more as fill the queue, reads their streams, and cancels what it started. The defaults are those of the documents;
the last options say where the service is configured otherwise.

  conformance service --url http://127.0.0.1:8080
  conformance service --url https://host --token-env TOKEN --engine vllm --model default
  conformance service --list"""


class ServiceArguments(argparse.Namespace):
    """What was given."""

    url: Address
    token_env: str | None
    engine: str
    model: str
    only: list[ServiceCheck]
    level: str
    verbose: bool
    max_tokens: int
    fill: int
    patience: float
    resume_window_ms: int
    runs_on: bool
    auth_optional: bool


def add_service(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.description = ABOUT
    parser.add_argument("--url", type=_address, required=True, metavar="URL", help="where the service is")
    parser.add_argument("--token-env", metavar="VAR", help="the environment variable that has the token")
    parser.add_argument("--engine", default="", metavar="NAME", help="send tasks to a pool of this engine")
    parser.add_argument("--model", default="", metavar="REF", help="and to one that answers to this reference")
    parser.add_argument("--only", type=_selection, default=[], metavar="ID,...", help="these checks")
    parser.add_argument("--level", choices=("must", "should"), default="should", help="must: leave advice out")
    parser.add_argument("--verbose", action="store_true", help="a line for each check")
    parser.add_argument("--list", action=_Shown, nargs=0, help="list the checks and stop")
    parser.add_argument("--explain", action=_Shown, metavar="ID", help="explain a check and stop")
    more = parser.add_argument_group("about the service")
    _number(more, "--max-tokens", 256, "length of an answer that may not be over too soon")
    _number(more, "--fill", 128, "the most tasks that are sent to fill a queue")
    _number(more, "--patience", 10, "seconds to wait for anything")
    _number(more, "--resume-window-ms", 0, "how long a task goes on without a reader")
    more.add_argument("--runs-on", action="store_true", help="a task goes on for good when its reader leaves")
    more.add_argument("--auth-optional", action="store_true", help="the token may be omitted from here")


def run(arguments: ServiceArguments) -> int:
    """Check the service; return the exit code."""
    token = os.environ.get(arguments.token_env, "") if arguments.token_env else ""
    if arguments.token_env and not token:
        sys.stderr.write(f"conformance service: the environment has no {arguments.token_env}\n")
        return Exit.USAGE
    spec = specs.load()
    checks = _selected(arguments)
    progress = _Progress(len(checks))
    report = trio.run(run_service, _target(arguments, token), checks, spec, progress.heard)
    progress.clear()
    show(report, spec, is_verbose=arguments.verbose)
    return Exit.TOO_LITTLE_RAN if report.unreachable else report.exit_code


def _target(arguments: ServiceArguments, token: str) -> Target:
    address = arguments.url
    return Target(
        dial=address.dial,
        authority=address.authority,
        name=f"{'https' if address.is_tls else 'http'}://{address.authority}{address.prefix}",
        prefix=address.prefix,
        token=token,
        engine=arguments.engine,
        model=arguments.model,
        max_tokens=arguments.max_tokens,
        fill=arguments.fill,
        patience_s=arguments.patience,
        resume_window_ms=arguments.resume_window_ms,
        runs_on=arguments.runs_on,
        auth_optional=arguments.auth_optional,
    )


def _selected(arguments: ServiceArguments) -> list[ServiceCheck]:
    every = arguments.only or list(SERVICE_CHECKS.values())
    return [check for check in every if arguments.level == "should" or check.level is Level.MUST]


class _Progress:
    """The check that was played last, on a terminal."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._played = 0
        self._is_shown = sys.stderr.isatty()

    def heard(self, played: Played) -> None:
        self._played += 1
        if self._is_shown:
            sys.stderr.write(f"\r\x1b[K{self._played}/{self._count} {played.check.id} {played.check.title}"[:110])
            sys.stderr.flush()

    def clear(self) -> None:
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")


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
            text = listing()
        elif values.upper() in SERVICE_CHECKS:
            text = explanation(SERVICE_CHECKS[values.upper()], specs.load())
        else:
            parser.error(unknown("check", values, SERVICE_CHECKS))
        sys.stdout.write(text + "\n")
        parser.exit()


def _number(group: argparse._ArgumentGroup, name: str, default: int, about: str) -> None:
    group.add_argument(name, type=_count, default=default, metavar="N", help=f"{about} (default {default})")


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
    return [SERVICE_CHECKS[id] for id in ids]
