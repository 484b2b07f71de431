"""`orchestratord config`: check a file, print its schema, write one to begin with."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from adapter_api import installed_engines
from orchestratord.config import ConfigError, example_text, full_schema_text, load_config, schema_text

from .start import CommandFailed

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from orchestratord.config import PoolConfig


def main(options: argparse.Namespace) -> int:
    """Do what `options.action` names."""
    if options.action == "check":
        _check(options.file)
    elif options.action == "schema":
        sys.stdout.write(schema_text() if options.base else full_schema_text(installed_engines()))
    else:
        _init(options.file)
    return 0


def _check(file: Path) -> None:
    try:
        config = load_config(file, os.environ)
    except ConfigError as error:
        count = len(error.problems)
        raise CommandFailed(f"{count} problem{'' if count == 1 else 's'}:\n{error}") from None
    sys.stdout.write(f"{file} is valid. It listens on {config.server.address}")
    sys.stdout.write(f" ({'a token is asked for' if config.auth.token else 'no token'}) and serves:\n")
    sys.stdout.writelines(f"  {_in_words(pool)}\n" for pool in config.pools)


def _in_words(pool: PoolConfig) -> str:
    count = len(pool.replicas)
    names = ", ".join(pool.answers_to())
    return f"{pool.id}: {pool.engine}, {count} replica{'' if count == 1 else 's'}, answers to {names}"


def _init(file: Path) -> None:
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(example_text(installed_engines()))
    except FileExistsError:
        raise CommandFailed(f"{file} exists already and is left as it is. Name another file") from None
    except OSError as error:
        raise CommandFailed(f"cannot write {file}: {os.strerror(error.errno or 0).lower()}") from None
    sys.stdout.write(f"wrote {file}. Next: edit it, then `orchestratord config check {file}`\n")
