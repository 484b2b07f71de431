"""`orchestratord serve`: the pools of a configuration file, until a signal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import trio

from orchestratord.config import ConfigError, load_config
from orchestratord.service import serve as serve_service

from .serving import collect_rarely, serve_pools
from .signals import interruptible
from .start import CommandFailed

if TYPE_CHECKING:
    import argparse

    from orchestratord.config import Config

    from .serving import Serve
    from .signals import Session


def main(options: argparse.Namespace) -> int:
    """Serve the file."""
    try:
        config = load_config(options.config, os.environ)
    except ConfigError as error:
        raise CommandFailed(f"the configuration cannot be used:\n{error}") from None
    collect_rarely()
    return trio.run(serve_config, config, str(options.config), serve_service)


async def serve_config(config: Config, name: str, serve: Serve) -> int:
    """Serve a configuration until a signal and the end of the drain; returns the exit code."""

    async def work(session: Session) -> int:
        return await serve_pools(
            config,
            serve,
            session,
            greet=lambda url: tell(f"orchestratord serves at {url}\n"),
            how_to_move=f"change `server.bind` in {name}, or set ORCHD_ADDR=HOST:PORT",
        )

    return await interruptible(work)


def tell(text: str) -> None:
    """Tell the person who started it."""
    sys.stderr.write(text)
