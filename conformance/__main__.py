"""The command line: `conformance run`, `list`, `explain`, `mutants`, `gate`, `engine`.

It reads arguments and chooses; what is run is in `runner.py`, `mutants.py`, `gate/` and `hand/`, what is shown in
`report.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from difflib import get_close_matches
from typing import TYPE_CHECKING, NoReturn, cast

from rich.console import Console

import specs

from .api import mask_for
from .catalogue import CHECKS
from .gate.command import GateArguments, add_arguments, gate
from .hand.command import EngineArguments, add_engines, run_engine
from .mutants import MUTANTS, REFERENCES, blamed, hunt
from .outcome import Exit
from .report import Report, explanation, listing
from .runner import run_checks
from .selection import select, select_whole
from .subjects import SUBJECTS
from .zoo_report import ZooReport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .check import Check, Scene
    from .subject import Subject

    Command = Callable[["Arguments"], int]

_ABOUT = """\
Prove an engine adapter: play scripted engines to it in virtual time and hold it to the specification.

  conformance run --adapter llamacpp            every check
  conformance run --adapter mock --only CAN-01  one check
  conformance list                              the checks
  conformance explain CAN-01                    what a check asks for, and why
  conformance mutants                           prove the kit: broken adapters, each caught
  conformance gate                              prove the specification: everything agrees
  conformance engine vllm                       run an engine without a model, for hand use"""

_EXITS = """\
exit codes:
  0  conforming        2  wrong usage             4  too little could be run for a verdict
  1  not conforming    3  a fault of the kit"""


_FEW = 12  # names that an error message lists


class Arguments(argparse.Namespace):
    """What was given on the command line."""

    command: Command
    adapter: str
    only: list[tuple[Check, str | None]]
    seed: int
    verbose: bool
    check: Check
    whole: bool
    names: list[str]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    arguments = _parser().parse_args(argv, namespace=Arguments())
    try:
        code = arguments.command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `conformance list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.CONFORMING
    except KeyboardInterrupt:
        sys.stderr.write("conformance: interrupted\n")
        code = 130
    except specs.SpecError as error:
        sys.stderr.write(f"conformance: the specification cannot be read: {error}\n")
        code = Exit.KIT_ERROR
    sys.exit(int(code))


def run(arguments: Arguments) -> int:
    """Run checks against an adapter."""
    subject, spec, every = SUBJECTS[arguments.adapter], specs.load(), list(CHECKS.values())
    wrong = _wrong_case(arguments, subject, spec)
    if wrong is not None:
        sys.stderr.write(f"conformance run: {wrong}\n")
        return Exit.USAGE
    selection = select(arguments.only) if arguments.only else select_whole(every)
    report = Report(_console(), mask_for(arguments.seed))
    began_s = time.perf_counter()
    cases = sum(case.seeds for scene in selection.plays for case in selection.cases(scene, subject, spec))
    report.begin(subject.name, selection.checks, spec, arguments.seed, cases)
    result = run_checks(subject, selection, spec, every=every, seed=arguments.seed, heard=report.heard)
    report.finish(result, spec, time.perf_counter() - began_s, is_verbose=arguments.verbose)
    return result.exit_code


def _console() -> Console:
    """Return a console on the true standard output: while a case plays, `sys.stdout` is the case's."""
    return Console(file=sys.stdout, highlight=False)


def _wrong_case(arguments: Arguments, subject: Subject, spec: specs.Specification) -> str | None:
    """Return what is wrong about the cases that were asked for, if anything is."""
    for check, address in arguments.only:
        known = [f"{scene.name}/{each.name}" for scene in check.scenes for each in scene.cases(subject, spec)]
        if address is not None and address not in known:
            return _unknown(f"case of {check.id}", address, known)
    return None


def list_checks(_arguments: Arguments) -> int:
    """Print every check."""
    sys.stdout.write(listing(CHECKS.values()) + "\n")
    return Exit.CONFORMING


def explain(arguments: Arguments) -> int:
    """Print what is known of one check."""
    check, subject, spec = arguments.check, SUBJECTS[arguments.adapter], specs.load()

    def count(scene: Scene) -> int:
        return len(list(scene.cases(subject, spec)))

    killed = [f"{mutant.name}: {mutant.fault}" for mutant in MUTANTS if mutant.killed_by == check.id]
    sys.stdout.write(explanation(check, spec, count, killed) + "\n")
    return Exit.CONFORMING


def mutants(arguments: Arguments) -> int:
    """Hunt every broken adapter and try every odd one."""
    chosen = [mutant for mutant in MUTANTS if not arguments.names or mutant.name in arguments.names]
    odd = [reference for reference in REFERENCES if not arguments.names or reference.name in arguments.names]
    report = ZooReport(_console(), mask_for(0))
    for mutant in chosen:
        report.hunted(hunt(mutant, is_whole=arguments.whole))
    for reference in odd:
        report.tried(reference, *blamed(reference, SUBJECTS["mock"]))
    return Exit.CONFORMING if report.finish(is_whole=arguments.whole) else Exit.NOT_CONFORMING


def judge(arguments: Arguments) -> int:
    """Tell whether specification, checks, tests and code agree."""
    return gate(cast("GateArguments", arguments))


def engine(arguments: Arguments) -> int:
    """Run an engine's double for hand use."""
    return run_engine(cast("EngineArguments", arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conformance", description=_ABOUT, epilog=_EXITS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    runs = _command(commands, "run", run, "run checks against an adapter", epilog=_EXITS)
    _add_adapter(runs, default=None)
    runs.add_argument(
        "--only", type=_selection, default=[], metavar="ID[:SCENE/CASE],…", help="these checks, or single cases of them"
    )
    runs.add_argument("--seed", type=_seed, default=0, metavar="N", help="schedules and canaries (default 0)")
    runs.add_argument("--verbose", action="store_true", help="a line for each check")
    _command(commands, "list", list_checks, "list the checks")
    explains = _command(commands, "explain", explain, "explain a check")
    explains.add_argument("check", type=_check, metavar="ID")
    _add_adapter(explains, default="mock")
    hunts = _command(commands, "mutants", mutants, "prove the kit on broken and on odd adapters")
    hunts.add_argument("names", nargs="*", type=_animal, metavar="NAME", help="these animals only")
    hunts.add_argument("--whole", action="store_true", help="every check on every animal: the whole kill matrix, slow")
    add_arguments(_command(commands, "gate", judge, "tell whether specification and code agree", epilog=_EXITS))
    add_engines(_command(commands, "engine", engine, "run an engine's double for hand use"))
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    does: Command,
    about: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=about, description=about.capitalize() + ".", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(command=does)
    return parser


def _add_adapter(parser: argparse.ArgumentParser, default: str | None) -> None:
    known = ", ".join(SUBJECTS)
    parser.add_argument(
        "--adapter", type=_adapter, default=default, required=default is None, metavar="NAME", help=f"one of: {known}"
    )


def _adapter(name: str) -> str:
    if name in SUBJECTS:
        return name
    raise argparse.ArgumentTypeError(_unknown("adapter", name, SUBJECTS))


def _check(check_id: str) -> Check:
    found = CHECKS.get(check_id.upper())
    if found is None:
        raise argparse.ArgumentTypeError(_unknown("check", check_id, CHECKS))
    return found


def _selection(text: str) -> list[tuple[Check, str | None]]:
    chosen: list[tuple[Check, str | None]] = []
    for part in filter(None, text.split(",")):
        check_id, _, case = part.strip().partition(":")
        chosen.append((_check(check_id), case or None))
    return chosen


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return int(text)


def _animal(name: str) -> str:
    names = [*(mutant.name for mutant in MUTANTS), *(reference.name for reference in REFERENCES)]
    if name in names:
        return name
    raise argparse.ArgumentTypeError(_unknown("animal", name, names))


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return a message that helps: the nearest name, or all of a few."""
    names = list(known)
    near = get_close_matches(name.upper() if what == "check" else name, names, n=1)
    few = f"there are: {', '.join(names[:_FEW])}{', ...' if len(names) > _FEW else ''}"
    return f"there is no {what} {name!r}; {f'did you mean {near[0]}?' if near else few}"


if __name__ == "__main__":
    main()
