"""`orchestratord` and `python -m orchestratord`."""

from __future__ import annotations

import sys

from orchestratord.cli.parser import parse
from orchestratord.cli.start import start


def main() -> None:
    """Run the command that the arguments name and exit with its code."""
    sys.exit(start(parse(sys.argv[1:])))


if __name__ == "__main__":
    main()
