"""The blocks of the command line page: what each command says of itself under `--help`.

The commands are asked the way a person asks them, so the page cannot say what they do not. A fixed width makes the
answer the same in every terminal.
"""

from __future__ import annotations

import io
import os
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING

from conformance.__main__ import main as conformance
from orchestratord.cli.parser import parse as orchestratord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAMS: dict[str, Callable[[Sequence[str]], object]] = {"orchestratord": orchestratord, "conformance": conformance}
_WIDTH = "100"


def help_of(program: str, *command: str) -> str:
    """Return the help of a command in a code block."""
    out = io.StringIO()
    with _width(), redirect_stdout(out), suppress(SystemExit):
        PROGRAMS[program]([*command, "--help"])
    return f"```text\n{out.getvalue().rstrip()}\n```"


@contextmanager
def _width() -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _WIDTH
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before
