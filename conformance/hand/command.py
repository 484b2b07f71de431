"""`conformance engine NAME`: run a double on a port until Ctrl-C.

The doubles are those of `conformance.engines`; which exist, and on which port, is the table here.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import dataclass, is_dataclass
from functools import partial
from inspect import cleandoc
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import msgspec
import trio

from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaCppDouble, LlamaSettings
from conformance.engines.openai import OpenAiDouble, OpenAiSettings
from conformance.engines.script import STEPS, Script, script_from_json
from conformance.engines.server import open_double
from conformance.engines.tgi import TgiDouble, TgiSettings
from conformance.engines.triton import TritonDouble, TritonSettings
from conformance.engines.vllm import VllmDouble, VllmSettings
from conformance.outcome import Exit

from .flags import add_flags, with_flags
from .watch import Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from conformance.engines.http1 import SeenRequest
    from conformance.engines.server import ServerDouble

CHAT = """curl -N {url}/v1/chat/completions -H 'content-type: application/json' \\
  -d '{{"model":"tiny","messages":[{{"role":"user","content":"Hi"}}],"max_tokens":9,"stream":true}}'"""
_SCRIPT = """\
a script (--script FILE) says what happens to each request, in JSON:
  {"steps": [{"step": "Text", "text": "Hel"}, {"step": "Pause", "seconds": 2}, {"step": "Text", "text": "lo"}]}
A list of scripts is played request by request, the last for all further ones. Without one the engine makes up text.
steps:
"""
_EPILOG = f"{_SCRIPT}{fill(', '.join(STEPS), 100)}\nThey are told in docs/how-to/engine-doubles.md."


@dataclass(frozen=True, slots=True)
class Entry:
    """A double that can be run: its settings by default, its port, what it is, and a first request to it."""

    settings: object
    build: Callable[[trio.Nursery, argparse.Namespace, Link], ServerDouble]
    port: int
    about: str
    example: str = CHAT
    further: Callable[[ServerDouble, int], Awaitable[list[str]]] | None = None


_TOKEN_S = 0.05  # a stream that a person can watch
_LLAMACPP = LlamaSettings(token_s=_TOKEN_S, has_embeddings=True, has_reranking=True)
_VLLM = VllmSettings(token_s=_TOKEN_S, has_embeddings=True, has_reranking=True)
_TGI = TgiSettings(token_s=_TOKEN_S)
_TRITON = TritonSettings(token_s=_TOKEN_S)
_OPENAI = OpenAiSettings(token_s=_TOKEN_S)


def _llamacpp(nursery: trio.Nursery, given: argparse.Namespace, link: Link) -> ServerDouble:
    return LlamaCppDouble(nursery, with_flags(_LLAMACPP, given), link)


def _vllm(nursery: trio.Nursery, given: argparse.Namespace, link: Link) -> ServerDouble:
    return VllmDouble(nursery, with_flags(_VLLM, given), link)


def _tgi(nursery: trio.Nursery, given: argparse.Namespace, link: Link) -> ServerDouble:
    return TgiDouble(nursery, with_flags(_TGI, given), link)


def _triton(nursery: trio.Nursery, given: argparse.Namespace, link: Link) -> ServerDouble:
    return TritonDouble(nursery, with_flags(_TRITON, given), link)


def _openai(nursery: trio.Nursery, given: argparse.Namespace, link: Link) -> ServerDouble:
    return OpenAiDouble(nursery, with_flags(_OPENAI, given), link)


async def _triton_ports(double: ServerDouble, port: int) -> list[str]:
    """Open Triton's other two ports, those after the first."""
    if not isinstance(double, TritonDouble):
        return []
    grpc = await double.serve_grpc_tcp(port + 1 if port else 0)
    metrics = await double.serve_metrics_tcp(port + 2 if port else 0)
    return [f"gRPC at {grpc.removeprefix('http://')}", f"metrics at {metrics}/metrics"]


ENGINES: Mapping[str, Entry] = {
    "llamacpp": Entry(_LLAMACPP, _llamacpp, 8080, "llama.cpp's server: its own routes and OpenAI's"),
    "vllm": Entry(_VLLM, _vllm, 8000, "vLLM's OpenAI server"),
    "tgi": Entry(_TGI, _tgi, 3000, "Text Generation Inference: its own routes and OpenAI's"),
    "triton": Entry(
        _TRITON,
        _triton,
        8000,
        "Triton: generate, KServe v2 over HTTP, gRPC on the next port, metrics on the one after",
        example="curl -N {url}/v2/models/ensemble/generate_stream "
        """-d '{{"text_input":"Hi","max_tokens":9,"stream":true}}'""",
        further=_triton_ports,
    ),
    "openai": Entry(_OPENAI, _openai, 8080, "OpenAI's service and, by --quirks-..., its clones"),
}


class EngineArguments(argparse.Namespace):
    """What was given."""

    engine: str
    port: int
    script: str | None
    bodies: bool
    only_work: bool


def add_engines(parser: argparse.ArgumentParser) -> None:
    """Add the engines, each with its own flags."""
    parser.add_argument("--list", action=_List, nargs=0, help="list the engines, a line each")
    parser.description = "Run an engine's double on 127.0.0.1 until Ctrl-C, and print what it sees."
    parser.epilog = "`conformance engine NAME --help` tells an engine's settings and how it is scripted."
    names = parser.add_subparsers(dest="engine", metavar="NAME", required=True)
    for name, entry in ENGINES.items():
        _add_engine(names, name, entry)


def _add_engine(names: argparse._SubParsersAction[argparse.ArgumentParser], name: str, entry: Entry) -> None:
    parser = names.add_parser(
        name,
        help=f"{entry.about} (port {entry.port})",
        usage=f"conformance engine {name} [-h] [--port P] [--script FILE] [--bodies] [--only-work] [settings]",
        description=_described(entry),
        epilog=_EPILOG,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=40),
    )
    parser.add_argument("--port", type=_port, default=entry.port, metavar="P", help=f"default {entry.port}; 0: any")
    parser.add_argument(
        "--script", metavar="FILE", help="what happens to each request, in JSON; - is the standard input"
    )
    parser.add_argument("--bodies", action="store_true", help="print the bodies of requests too, prompts and all")
    parser.add_argument("--only-work", action="store_true", help="print no requests that only ask how the engine is")
    add_flags(parser, entry.settings)


def _described(entry: Entry) -> str:
    """Return what the engine is and what its settings mean, those of its parts too."""
    parts = (getattr(entry.settings, name) for name in vars(type(entry.settings)).get("__dataclass_fields__", ()))
    told = [type(part).__doc__ or "" for part in (entry.settings, *parts) if is_dataclass(part)]
    return "\n\n".join((f"{entry.about[0].upper()}{entry.about[1:]}.", *map(cleandoc, told)))


class _List(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(listing() + "\n")
        parser.exit()


def listing() -> str:
    """Return the engines with their ports, a line each."""
    width = max(map(len, ENGINES))
    lines = [f"{name:{width}}  port {entry.port}  {entry.about}" for name, entry in ENGINES.items()]
    return "\n".join(lines)


def run_engine(arguments: EngineArguments) -> int:
    """Run the double until it is told to end; return the exit code."""
    try:
        scripts = read_scripts(arguments.script) if arguments.script else ()
    except (OSError, ValueError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"conformance engine: {arguments.script}: {words}\n")
        return Exit.USAGE
    try:
        trio.run(_serve, ENGINES[arguments.engine], arguments, scripts)
    except OSError as error:
        sys.stderr.write(f"conformance engine: port {arguments.port}: {error.strerror or error}; see --port\n")
        return Exit.USAGE
    return Exit.CONFORMING


async def _serve(entry: Entry, arguments: EngineArguments, scripts: tuple[Script, ...]) -> None:
    async with open_double(lambda nursery: entry.build(nursery, arguments, Link())) as double:
        wants = double.is_work if arguments.only_work else _anything
        double.watcher = Watch(_print, wants, shows_bodies=arguments.bodies)
        url = await double.serve_tcp(arguments.port)
        further = await entry.further(double, arguments.port) if entry.further else []
        double.load(*scripts)
        _print(f"{arguments.engine} double at {', '.join((url, *further))}  (Ctrl-C ends it)\n")
        _print(f"{entry.example.format(url=url)}\n\n")
        await _wait_for_the_end()
        _print(f"\nrequests: {len(double.facts.requests)}; clients that left too early: {len(double.facts.gone)}\n")


def _anything(_request: SeenRequest) -> bool:
    return True


async def _wait_for_the_end() -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(aiter(signals))


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # `... | head -1`: nobody reads on, and the engine goes on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def read_scripts(name: str) -> tuple[Script, ...]:
    """Return the scripts in a file, one or a list of them; raise `OSError`, or `ValueError` that says what is wrong."""
    text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    if not text.lstrip().startswith("["):
        return (script_from_json(text),)
    return tuple(script_from_json(bytes(each)) for each in msgspec.json.decode(text, type=list[msgspec.Raw]))


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
