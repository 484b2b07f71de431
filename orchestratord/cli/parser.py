"""Every command, its flags and its help.

Flags of `up` leave alone what they are not given for; values are checked here only as far as one value alone can be.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  # argparse has no public name for it


DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_CONFIG = "orchestratord.toml"
SAMPLE_PROMPT = "The three most important inventions in human history are"

_TOP_EPILOG = """\
first steps:
  orchestratord up                     a daemon with a real model, nothing to configure
  orchestratord run "Once upon a time" ask it (in another terminal)
  orchestratord config init            begin a configuration of your own engines

every command explains itself: orchestratord COMMAND --help
"""
_UP_EPILOG = """\
examples:
  orchestratord up                             the small model that comes with the extra `embedded`
  orchestratord up --model ~/models/my.gguf    a model of your own
  orchestratord up --parallel 4 --ctx 8192     four tasks at once, 8192 tokens each
  orchestratord up --mock                      no model, no download: made-up answers
  AUTH_TOKEN=... orchestratord up --bind 0.0.0.0:8080    reachable from other machines

Ctrl-C drains: running tasks end or are cancelled at the deadline. A second Ctrl-C stops at once.
"""
_SERVE_EPILOG = """\
examples:
  orchestratord config init && orchestratord serve
  orchestratord serve --config /etc/orchestratord.toml
  ORCHD_ADDR=127.0.0.1:9000 orchestratord serve --config my.toml

SIGTERM or Ctrl-C drains: running tasks end or are cancelled at `server.drain_deadline_ms`. A second one stops at once.
"""
_RUN_EPILOG = """\
examples:
  orchestratord run "Once upon a time"
  orchestratord run "2 + 2 =" --max-tokens 4 --temperature 0
  orchestratord run "Tell me a joke" --chat --seed 7
  cat question.txt | orchestratord run -
  orchestratord run "Hello" --json | jq -r 'select(.event == "token") | .data.t'

Tokens go to standard output as they come, everything else to standard error. Ctrl-C cancels the task on the server.
exit codes: 0 done, 1 failed, 2 wrong usage, 130 cancelled by a signal, 141 nobody reads the output any more
"""
_CONFIG_EPILOG = """\
examples:
  orchestratord config init                     writes orchestratord.toml with every key explained
  orchestratord config check orchestratord.toml
  orchestratord config schema > orchestratord.schema.json    for an editor's completion
"""


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; wrong usage and `--help` exit as `argparse` does."""
    parser = _parser("orchestratord", "One HTTP service in front of every LLM engine you run.", _TOP_EPILOG)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_up(commands)
    _add_serve(commands)
    _add_run(commands)
    _add_config(commands)
    version = _command(commands, "version", "print the versions of what is installed", "")
    version.set_defaults(module="version")
    return parser.parse_args(arguments)


def _add_up(commands: _Commands) -> None:
    up = _command(commands, "up", "start a daemon with the embedded llama.cpp and a real model", _UP_EPILOG)
    up.add_argument("--bind", metavar="HOST:PORT", help="address to listen on (default: 127.0.0.1:8080)")
    up.add_argument("--mock", action="store_true", help="use the mock engine: no model is loaded")
    up.add_argument("--model", type=Path, metavar="FILE.gguf", help="model to load in place of the bundled one")
    up.add_argument("--parallel", type=_at_least(1), default=2, metavar="N", help="tasks at once (default: 2)")
    up.add_argument("--ctx", type=_at_least(64), default=2048, metavar="N", help="context of one task (default: 2048)")
    up.add_argument("--prompt", default=SAMPLE_PROMPT, metavar="TEXT", help="prompt of the sample completion")
    up.add_argument("--no-sample", action="store_true", help="do not run a sample completion")
    up.add_argument("--engine-log", type=Path, metavar="FILE", help="keep llama.cpp's own log (bounded) in this file")
    _add_log_level(up, "warning")
    up.set_defaults(module="up")


def _add_serve(commands: _Commands) -> None:
    serve = _command(commands, "serve", "serve the pools of a configuration file", _SERVE_EPILOG)
    serve.add_argument("--config", type=Path, default=Path(DEFAULT_CONFIG), metavar="FILE", help="default: %(default)s")
    serve.set_defaults(module="serve")


def _add_run(commands: _Commands) -> None:
    run = _command(commands, "run", "send one task to a daemon and print its tokens as they come", _RUN_EPILOG)
    run.add_argument("prompt", metavar="PROMPT", help="what to complete; - reads standard input")
    run.add_argument("--max-tokens", type=_at_least(1), default=128, metavar="N", help="default: %(default)s")
    run.add_argument("--seed", type=int, metavar="N", help="same seed and prompt, same text")
    run.add_argument("--temperature", type=_not_negative, metavar="X", help="0 takes the likeliest token")
    run.add_argument("--chat", action="store_true", help="send the prompt as a chat message")
    run.add_argument(
        "--model", metavar="REF", help="model reference (default: that of the engine, or the default pool)"
    )
    run.add_argument("--engine", metavar="NAME", help="engine (default: the one that serves the model)")
    run.add_argument("--ctx", type=_at_least(1), metavar="N", help="context to ask for (default: the pool's)")
    run.add_argument("--deadline-ms", type=_at_least(1), default=120_000, metavar="MS", help="default: %(default)s")
    run.add_argument("--url", metavar="URL", help=f"the daemon (default: $ORCHD_URL, else {DEFAULT_URL})")
    run.add_argument("--token-env", default="AUTH_TOKEN", metavar="VAR", help="variable with the token (%(default)s)")
    run.add_argument("--json", action="store_true", help="print the frames, one JSON object a line")
    run.set_defaults(module="run")


def _add_config(commands: _Commands) -> None:
    config = _command(commands, "config", "write, check or describe a configuration file", _CONFIG_EPILOG)
    actions = config.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = _command(actions, "check", "check a file and say everything that is wrong with it", "")
    check.add_argument("file", type=Path, metavar="FILE")
    schema = _command(actions, "schema", "print the JSON Schema of the file, the installed engines' keys included", "")
    schema.add_argument("--base", action="store_true", help="leave the engines' keys out: the schema that is shipped")
    init = _command(actions, "init", "write a commented file to begin with; never overwrites one", "")
    init.add_argument("file", type=Path, nargs="?", default=Path(DEFAULT_CONFIG), metavar="FILE", help="%(default)s")
    for name, action in (("check", check), ("schema", schema), ("init", init)):
        action.set_defaults(module="config", action=name)


def _add_log_level(parser: argparse.ArgumentParser, default: str) -> None:
    levels = ("debug", "info", "warning", "error")
    parser.add_argument(
        "--log-level", choices=levels, default=default, help="what the daemon logs (default: %(default)s)"
    )


def _command(commands: _Commands, name: str, summary: str, epilog: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _parser(name: str, description: str, epilog: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"expected at least {least}, got {value}")
        return value

    return number


def _not_negative(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0 on, got {text}")
    return value
