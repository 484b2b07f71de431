"""What is put to the test: an adapter, the engine behind it, and what the kit may see and do there.

A `Subject` opens one adapter on one engine that plays scripts. The shipped ones are in `subjects/`; an adapter author
writes the same few lines. The kit asks nothing of the adapter that its contract does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    import trio

    from adapter_api import WorkerAdapter
    from specs import Specification

    from .canary import Canaries
    from .engines.received import Received
    from .engines.script import Script


SCRIPTS = "scripts"
"""In `limits`: the engine plays no scripts, because it is a real one. Time is real, then."""

SECRETS = "secrets"
"""In `limits`: the adapter has credentials of somebody, and none of the kit's to look for."""


SEED = "seed"
"""In `limits`: the engine has no word for a seed. The kit sends none, then, but where it wants to see it refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """How the engine and the adapter are to be set up for one case.

    The n-th request plays the n-th script, all further ones the last. Whatever the subject starts for the engine goes
    into `engine_tasks`, so that the kit can tell the engine's tasks from the adapter's. `first_token_s` and `idle_s`
    are the adapter's time bounds; None leaves its own. With `credentials_in_url` the engine's address has a password in
    it, with `key_in_query` a key in its query; with `dial_error` every connection fails with an `OSError` of this text.
    Each connection takes `dial_s`, or for ever where that is infinite; with `silent_after` it stays open and gives no
    more than so many bytes of the engine's. What a subject does not heed it names in its `limits`, as in `means.MEANS`:
    else nothing is proved, or the adapter is blamed for it.
    """

    scripts: tuple[Script, ...]
    engine_tasks: trio.Nursery
    canaries: Canaries
    random: Callable[[], float]
    slots: int = 4
    first_token_s: float | None = None
    idle_s: float | None = None
    credentials_in_url: bool = False
    dial_error: str | None = None
    dial_s: float = 0.0
    silent_after: int | None = None
    key_in_query: bool = False


class EngineFacts(Protocol):
    """What the engine knows, read by the kit to see what reached it."""

    @property
    def live(self) -> int:
        """Requests the engine is working on or keeps waiting."""

    @property
    def connections(self) -> int:
        """Connections that are open to the engine; 0 for an engine without any."""

    @property
    def submitted(self) -> int:
        """Requests for work that ever reached the engine."""


@runtime_checkable
class Hearing(Protocol):
    """What `EngineFacts` may offer besides: the requests for work as they reached the engine.

    Without it, or with None, checks of what is passed on to the engine are not applicable.
    """

    @property
    def received(self) -> Sequence[Received] | None:
        """Every request for work in neutral words, in the order of arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """An open adapter and its engine; `stop` ends the engine's process, `start` begins it again.

    `address` is the engine's host and port as they could be told to outsiders, `connect` opens a connection to it; None
    where there are no connections. `forget` drops what the engine has noted of requests that are over, so that memory
    can be measured. `upgrade` makes another version of the engine and returns what the adapter has to report of it.
    """

    adapter: WorkerAdapter
    facts: EngineFacts
    engine_version: str
    stop: Callable[[], None]
    start: Callable[[], None]
    address: str | None = None
    connect: Callable[[], Awaitable[trio.abc.Stream]] | None = None
    forget: Callable[[], None] | None = None
    upgrade: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which the engine fails, and what the adapter has to make of it.

    `mentions` are words of the engine that belong into the message; `status` is the upstream status if there is one.
    With `is_down` the engine is not there at all; `deadline_ms` is given to the request.
    """

    id: str
    condition: str
    script: Script
    kind: str
    retriable: bool
    blames_request: bool = False
    status: int | None = None
    mentions: Sequence[str] = field(default=())
    is_down: bool = False
    deadline_ms: int | None = None


class Subject(Protocol):
    """An adapter that can be opened in any situation."""

    @property
    def name(self) -> str:
        """What `--adapter` calls it."""

    @property
    def engine(self) -> str:
        """The engine's name in requests and in the specification's error table."""

    @property
    def limits(self) -> Mapping[str, str]:
        """What cannot be induced here: name of the means -> why. A check that needs it is not applicable."""

    def faults(self, spec: Specification) -> Sequence[Fault]:
        """Return the failures of this engine that the specification's table lists, as scripts."""

    def open(self, situation: Situation) -> AbstractAsyncContextManager[Rig]:
        """Open the engine and the adapter; leaving the block closes the adapter first."""
