"""The ways out of a simulated case, as data: which functions and events lead there, and what to use instead.

A door is a function that is replaced while a case plays. An event is one of Python's audit events: they come from
underneath, so they are heard whatever name a function was called by. A cell is a function in C that only a profile
hears, because no name of it can be replaced.
"""

from __future__ import annotations

import _thread  # noqa: PLC2701 - its documented name
import random
import time
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Way(StrEnum):
    """A way out, in the words of a failure text."""

    CLOCK = "it read a real clock"
    SLEEP = "it blocked the thread"
    THREAD = "it handed work to a thread"
    RANDOM = "it drew global randomness"
    SOCKET = "it reached for a real network"
    PROCESS = "it started a process"
    FILE = "it wrote to a file"


@dataclass(frozen=True, slots=True)
class Rule:
    """The check that owns a way out, and what was expected in its place.

    With `stops` the case ends there: what is behind the door would let virtual time lie, or block.
    """

    check_id: str
    expected: str
    stops: bool = False


_NOT_HERE = "an adapter that cannot do without is tried on its running engine, in real time: --engine-url URL"

RULES: Mapping[Way, Rule] = MappingProxyType({
    Way.CLOCK: Rule("TMO-09", "time from trio.current_time(), and Unix time from context.unix_time()"),
    Way.SLEEP: Rule("TMO-09", "waiting by trio.sleep() and Trio's own events and channels"),
    Way.THREAD: Rule(
        "TMO-09", f"no thread: virtual time goes on without waiting for it, so nothing can be proved; {_NOT_HERE}", True
    ),
    Way.RANDOM: Rule("DET-07", "randomness from context.random() alone"),
    Way.SOCKET: Rule("DET-08", f"connections by context.dial(host, port) alone; {_NOT_HERE}", True),
    Way.PROCESS: Rule("DET-08", f"no process of the adapter's own; {_NOT_HERE}", True),
    Way.FILE: Rule("DET-08", "nothing written but what goes to the engine, the caller and the log"),
})


@dataclass(frozen=True, slots=True)
class Door:
    """A function by its place, `module` and `name` ("Thread.start" for a method).

    It does no harm when it is given this many arguments or more, the last of them not None: `localtime(seconds)`
    reads no clock, `Random(seed)` draws nothing.
    """

    way: Way
    module: str
    name: str
    harmless_from: int | None = None

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self.module}.{self.name.removesuffix('.__init__')}"


def _doors(way: Way, module: str, *names: str, harmless_from: int | None = None) -> tuple[Door, ...]:
    return tuple(Door(way, module, name, harmless_from) for name in names)


_CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_DRAWS = tuple(name for name in random.__all__ if getattr(getattr(random, name), "__self__", None) is not None)

DOORS: tuple[Door, ...] = (
    *_doors(Way.CLOCK, "time", *_CLOCKS, *(f"{name}_ns" for name in _CLOCKS), "clock_gettime", "clock_gettime_ns"),
    *_doors(Way.CLOCK, "time", "localtime", "gmtime", "ctime", harmless_from=1),
    *_doors(Way.CLOCK, "time", "strftime", harmless_from=2),
    *_doors(Way.SLEEP, "time", "sleep"),
    *_doors(Way.SLEEP, "threading", "Condition.wait"),
    *_doors(Way.SLEEP, "select", "select"),
    *_doors(Way.THREAD, "threading", "Thread.start"),
    *_doors(Way.THREAD, "_thread", "start_new_thread"),
    *_doors(Way.THREAD, "trio.lowlevel", "start_thread_soon"),
    *_doors(Way.SOCKET, "trio.socket", "getaddrinfo", "getnameinfo"),
    *_doors(Way.PROCESS, "trio", "run_process"),
    *_doors(Way.PROCESS, "trio.lowlevel", "open_process"),
    *_doors(Way.RANDOM, "random", *_DRAWS),
    *_doors(Way.RANDOM, "random", "Random.__init__", harmless_from=2),
    *_doors(Way.RANDOM, "os", "urandom", "getrandom"),
    *_doors(Way.RANDOM, "uuid", "uuid1"),
)
"""What is replaced. `uuid4`, `secrets` and `SystemRandom` come down to `os.urandom`."""

EVENTS: Mapping[str, Way] = MappingProxyType({
    **dict.fromkeys(("socket.__new__", "socket.connect", "socket.bind", "socket.sendto"), Way.SOCKET),
    **dict.fromkeys(("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"), Way.SOCKET),
    **dict.fromkeys(("subprocess.Popen", "os.system", "os.fork", "os.forkpty"), Way.PROCESS),
    **dict.fromkeys(("os.posix_spawn", "os.spawn", "os.exec", "os.startfile"), Way.PROCESS),
    **dict.fromkeys(("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.truncate", "os.link"), Way.FILE),
    **dict.fromkeys(("_thread.start_new_thread", "_thread.start_joinable_thread"), Way.THREAD),  # from 3.12 and 3.13 on
    "open": Way.FILE,
})
"""Audit event -> way out. `open` counts only for writing."""

CELLS: Mapping[object, tuple[Way, str]] = MappingProxyType({
    **{getattr(time, name): (Way.CLOCK, f"time.{name}") for name in (*_CLOCKS, *(f"{name}_ns" for name in _CLOCKS))},
    **{getattr(datetime, name): (Way.CLOCK, f"datetime.{name}") for name in ("now", "utcnow", "today")},
    date.today: (Way.CLOCK, "date.today"),
    time.sleep: (Way.SLEEP, "time.sleep"),
    _thread.start_new_thread: (Way.THREAD, "_thread.start_new_thread"),
    random.random: (Way.RANDOM, "random.random"),
    random.getrandbits: (Way.RANDOM, "random.getrandbits"),
})
"""Function in C -> (way out, what people call it): those that can be held under a name that nobody can replace."""
