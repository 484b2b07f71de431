"""The command line: `conformance run`, `init`, `list`, `explain`, `mutants`, `gate`, `service`, `engine`.

It reads arguments and chooses; `run` and `init` are in `command_line/`, the others in `mutants.py`, `gate/`, `hand/`
and `service/`.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, NoReturn, cast

from rich.console import Console

import specs

from .api import mask_for
from .catalogue import CHECKS
from .command_line import init as starting
from .command_line import run as running
from .command_line.kinds import ADAPTER_HELP, check_named, subject_named
from .gate.command import GateArguments, add_arguments, gate
from .hand.command import EngineArguments, add_engines, run_engine
from .loading import unknown
from .mutants import MUTANTS, REFERENCES, blamed, hunt
from .outcome import Exit
from .report import explanation, listing
from .service import command as serving
from .zoo_report import ZooReport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .check import Check, Scene
    from .subject import Subject

    Command = Callable[["Arguments"], int]

_ABOUT = """\
Prove an engine adapter: play scripted engines to it in virtual time and hold it to the specification.

  conformance run --adapter llamacpp            every check
  conformance run --adapter mock --only CAN-01  one check
  conformance run --adapter my_pkg.my_mod:name  your own adapter
  conformance init --engine NAME                a start for one
  conformance list                              the checks
  conformance explain CAN-01                    what a check asks for, and why
  conformance mutants                           prove the kit: broken adapters, each caught
  conformance gate                              prove the specification: everything agrees
  conformance service --url http://host:8080    prove a running service over HTTP
  conformance engine vllm                       run an engine without a model, for hand use"""

_EXITS = """\
exit codes:
  0  conforming        2  wrong usage             4  too little could be run for a verdict
  1  not conforming    3  a fault of the kit"""


class Arguments(argparse.Namespace):
    """What was given on the command line."""

    command: Command
    adapter: Subject
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
    return running.run(cast("running.RunArguments", arguments))


def init(arguments: Arguments) -> int:
    """Write a start for a new adapter."""
    return starting.init(cast("starting.InitArguments", arguments))


def _console() -> Console:
    return Console(file=sys.stdout, highlight=False)


def list_checks(_arguments: Arguments) -> int:
    """Print every check."""
    sys.stdout.write(listing(CHECKS.values()) + "\n")
    return Exit.CONFORMING


def explain(arguments: Arguments) -> int:
    """Print what is known of one check."""
    check, subject, spec = arguments.check, arguments.adapter, specs.load()

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
        report.tried(reference, *blamed(reference))
    return Exit.CONFORMING if report.finish(is_whole=arguments.whole) else Exit.NOT_CONFORMING


def judge(arguments: Arguments) -> int:
    """Tell whether specification, checks, tests and code agree."""
    return gate(cast("GateArguments", arguments))


def service(arguments: Arguments) -> int:
    """Check a running service."""
    return serving.run(cast("serving.ServiceArguments", arguments))


def engine(arguments: Arguments) -> int:
    """Run an engine's double for hand use."""
    return run_engine(cast("EngineArguments", arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="conformance", description=_ABOUT, epilog=_EXITS, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    running.add_arguments(_command(commands, "run", run, "run checks against an adapter", epilog=_EXITS))
    starting.add_arguments(_command(commands, "init", init, "write a start for a new adapter"))
    _command(commands, "list", list_checks, "list the checks")
    explains = _command(commands, "explain", explain, "explain a check")
    explains.add_argument("check", type=check_named, metavar="ID")
    explains.add_argument("--adapter", type=subject_named, default="mock", metavar="NAME", help=ADAPTER_HELP)
    hunts = _command(commands, "mutants", mutants, "prove the kit on broken and on odd adapters")
    hunts.add_argument("names", nargs="*", type=_animal, metavar="NAME", help="these animals only")
    hunts.add_argument("--whole", action="store_true", help="every check on every animal: the whole kill matrix, slow")
    add_arguments(_command(commands, "gate", judge, "tell whether specification and code agree", epilog=_EXITS))
    serving.add_service(_command(commands, "service", service, "check a running service over HTTP", epilog=_EXITS))
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


def _animal(name: str) -> str:
    names = [*(mutant.name for mutant in MUTANTS), *(reference.name for reference in REFERENCES)]
    if name in names:
        return name
    raise argparse.ArgumentTypeError(unknown("animal", name, names))


if __name__ == "__main__":
    main()
