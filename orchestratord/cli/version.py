"""`orchestratord version`: what is installed, for a bug report."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from adapter_api import installed_engines

if TYPE_CHECKING:
    import argparse


def main(_: argparse.Namespace) -> int:
    """Print the versions."""
    lines = [
        f"orchestratord {_of('orchestratord')}",
        f"python {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"embedded engine: xllamacpp {_of('xllamacpp')}",
        f"adapters: {', '.join(installed_engines()) or 'none'}",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
