"""`orchestratord run`: one task, from the prompt to the last token, and cancelled on the server if we leave early.

Whoever stops us (Ctrl-C, SIGTERM, a reader of our output that goes away, the deadline), the task does not run on: the
stream's scope is cancelled, then the server is told, within a bound.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec
import trio

from adapter_api import Secret

from .daemon import Refused, open_daemon
from .frames import Ended, JsonView, TextView
from .order import Order
from .parser import DEFAULT_URL
from .signals import interruptible
from .start import INTERRUPTED, CommandFailed

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from http_util.transport import Dial

    from .daemon import Daemon
    from .frames import Outcome, View
    from .signals import Session

CANCEL_BOUND_S = 3.0
_BEYOND_DEADLINE_S = 10.0  # the server ends the task at its deadline; this is for a server that does not


def main(options: argparse.Namespace) -> int:
    """Send the task and print what comes."""
    if options.prompt == "-":
        options.prompt = sys.stdin.read()
    view = JsonView(sys.stdout) if options.json else TextView(sys.stdout, sys.stderr)
    return trio.run(run, options, os.environ, view)


async def run(
    options: argparse.Namespace,
    environ: Mapping[str, str],
    view: View,
    dial: Dial | None = None,
) -> int:
    """Send the task that the options describe and show it; returns the exit code. Raises `CommandFailed`."""
    url = options.url or environ.get("ORCHD_URL") or DEFAULT_URL
    token = environ.get(options.token_env, "").strip()

    async def work(_: Session) -> int:
        async with open_daemon(url, Secret(token) if token else None, dial) as daemon:
            return await _until_deadline(daemon, order_of(options), view)

    code = await interruptible(work)
    if code == INTERRUPTED:
        view.interrupted()
    return code


async def complete(daemon: Daemon, order: Order, view: View) -> Outcome:
    """Run one task to its terminal frame.

    Whatever else ends it, Cancelled included, cancels the task on the server, within `CANCEL_BOUND_S`.
    """
    body = order.body(await daemon.pools())
    is_over = False
    try:
        await daemon.enqueue(body)
        async with daemon.stream(order.task_id) as stream:
            async for events in stream:
                if (outcome := view.show(events)) is not None:
                    is_over = True
                    return outcome
    except Refused:
        is_over = True
        raise
    except msgspec.MsgspecError as error:
        raise CommandFailed(f"a frame of the stream is not the protocol: {error}") from None
    finally:
        if not is_over:
            with trio.move_on_after(CANCEL_BOUND_S, shield=True):
                await _cancel(daemon, order.task_id)
    raise CommandFailed("the stream ended without its last frame: the daemon or the connection went away")


def order_of(options: argparse.Namespace) -> Order:
    """What the options ask for."""
    return Order(
        prompt=options.prompt,
        max_tokens=options.max_tokens,
        deadline_ms=options.deadline_ms,
        seed=options.seed,
        temperature=options.temperature,
        model=options.model,
        engine=options.engine,
        ctx=options.ctx,
        chat=options.chat,
    )


async def _until_deadline(daemon: Daemon, order: Order, view: View) -> int:
    try:
        with trio.fail_after(order.deadline_ms / 1000 + _BEYOND_DEADLINE_S):
            outcome = await complete(daemon, order, view)
    except trio.TooSlowError:
        raise CommandFailed("the daemon did not end the task at its deadline") from None
    if not isinstance(outcome, Ended):
        raise CommandFailed(outcome.in_words())
    if outcome.canceled:
        raise CommandFailed("the task was cancelled")
    return 0


async def _cancel(daemon: Daemon, task_id: str) -> None:
    try:
        await daemon.cancel(task_id)
    except CommandFailed as failure:
        sys.stderr.write(f"orchestratord: the task could not be cancelled: {failure}\n")
