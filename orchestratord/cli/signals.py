"""What Ctrl-C and SIGTERM do to a command.

The first signal asks the work to stop, in the way the work has named, or cancels it where it has named none. The second
asks again (a drain then ends at once), the next cancels, and after that a signal has its default effect.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, final

import trio

from .start import INTERRUPTED, CommandFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@final
class Session:
    """One command at work. Tasks in `nursery` end with the command."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.nursery = nursery
        self.is_forced = False
        self._ways: list[Callable[[], None]] = []

    def on_signal(self, first: Callable[[], None], second: Callable[[], None]) -> None:
        """Name what the first signal does from here on, and what the second does."""
        self._ways = [first, second]

    def signalled(self) -> bool:
        """Take one signal; False if it cancelled the work."""
        if not self._ways:
            self.nursery.cancel_scope.cancel()
            return False
        self.is_forced = len(self._ways) == 1
        self._ways.pop(0)()
        return True


async def interruptible(work: Callable[[Session], Awaitable[int]]) -> int:
    """Do the work under the rule above; returns its exit code, or 130 if a signal cut it short.

    `CommandFailed` and `BrokenPipeError` leave as they are, everything else in a group.
    """
    failure: CommandFailed | BrokenPipeError | None = None
    code = INTERRUPTED
    async with trio.open_nursery() as nursery:
        session = Session(nursery)
        await nursery.start(_watch, session)
        try:
            code = await work(session)
        except (CommandFailed, BrokenPipeError) as error:
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return INTERRUPTED if session.is_forced else code


async def _watch(session: Session, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(*_SIGNALS) as signals:
        task_status.started()
        async for _ in signals:
            if not session.signalled():
                break
    for signum in _SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
