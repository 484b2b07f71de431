"""From parsed arguments to an exit code.

Expected failures end here as a sentence on standard error: 1 is a failure, 2 wrong usage, 130 an interrupt, 141 a
reader of standard output that went away.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import argparse

FAILED = 1
INTERRUPTED = 130
BROKEN_PIPE = 141


class CommandFailed(Exception):
    """A command cannot do what it was asked; the text is for the person who asked."""


class Command(Protocol):
    """What the module of a command offers."""

    def main(self, options: argparse.Namespace) -> int:
        """Do the work; returns the exit code."""


def start(options: argparse.Namespace) -> int:
    """Run the command in `options.module`."""
    try:
        command = cast("Command", import_module(f"orchestratord.cli.{options.module}"))
        code = command.main(options)
        sys.stdout.flush()
    except CommandFailed as failure:
        sys.stderr.write(f"orchestratord: {failure}\n")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    return code
