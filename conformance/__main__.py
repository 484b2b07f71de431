"""The command line: `conformance run`, `init`, `list`, `explain`, `mutants`, `gate`, `service`, `engine`.

It reads arguments and chooses; `run`, `init`, `list` and `explain` are in `command_line/`, the others in `mutants.py`,
`gate/`, `hand/` and `service/`.
"""

from __future__ import annotations

import argparse
import errno
import sys
from typing import TYPE_CHECKING, NoReturn, cast

import specs

from .command_line import init as starting
from .command_line import listing
from .command_line import mutants as hunting
from .command_line import run as running
from .command_line import soak as soaking
from .command_line.output import expect_output, print_to_nowhere
from .gate.command import GateArguments, add_arguments, gate
from .hand.command import EngineArguments, add_engines, run_engine
from .outcome import Exit
from .service import command as serving

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
  conformance soak --adapter mock --runs 1000   see whether a run is ever not the same
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
    whole: bool
    names: list[str]


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit with its code."""
    expect_output()
    arguments = _parser().parse_args(argv, namespace=Arguments())
    try:
        code = arguments.command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `conformance list | head`
        print_to_nowhere()
        code = Exit.CONFORMING
    except KeyboardInterrupt:
        sys.stderr.write("conformance: interrupted\n")
        code = 130
    except specs.SpecError as error:
        sys.stderr.write(f"conformance: the specification cannot be read: {error}\n")
        code = Exit.KIT_ERROR
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print_to_nowhere()
        sys.stderr.write(f"conformance: cannot print: {error.strerror}\n")
        code = Exit.KIT_ERROR
    sys.exit(int(code))


def run(arguments: Arguments) -> int:
    """Run checks against an adapter."""
    return running.run(cast("running.RunArguments", arguments))


def init(arguments: Arguments) -> int:
    """Write a start for a new adapter."""
    return starting.init(cast("starting.InitArguments", arguments))


def list_checks(arguments: Arguments) -> int:
    """Print the checks."""
    return listing.list_checks(cast("listing.ListArguments", arguments))


def explain(arguments: Arguments) -> int:
    """Print what is known of one check."""
    return listing.explain(cast("listing.ExplainArguments", arguments))


def mutants(arguments: Arguments) -> int:
    """Hunt every broken adapter and try every odd one."""
    return hunting.mutants(cast("hunting.MutantsArguments", arguments))


def soak(arguments: Arguments) -> int:
    """Play the same run again and again."""
    return soaking.run_soak(cast("soaking.SoakArguments", arguments))


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
    starting.add_arguments(_command(commands, "init", init, "write a start for a new adapter", epilog=starting.ABOUT))
    listing.add_list_arguments(_command(commands, "list", list_checks, "list the checks"))
    listing.add_explain_arguments(_command(commands, "explain", explain, "explain a check"))
    hunts = _command(commands, "mutants", mutants, "prove the kit on broken and on odd adapters", epilog=hunting.ABOUT)
    hunting.add_mutants_arguments(hunts)
    soaks = _command(commands, "soak", soak, "play the same run many times and compare", epilog=soaking.ABOUT)
    soaking.add_soak_arguments(soaks)
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


if __name__ == "__main__":
    main()
