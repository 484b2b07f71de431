"""The room in which one case runs: it opens the subject, hears the always-on rules, and remembers what it saw.

One `Lab` per case and `trio.run`. Rules that hold at all times are tapped here and in `reading`: order, payloads,
errors, leaks, secrets. A case states its own rules with `expect` (and goes on) or `require` (and stops).
"""

from __future__ import annotations

import traceback
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, final

import trio
import trio.testing

from .bench import Bench
from .canary import Canaries
from .findings import Finding, NotApplicable, Stop
from .leaks import census, names
from .oracle import ErrorOracle, SchemaOracle
from .own_messages import OwnMessages, check_script
from .script_text import script_text
from .subject import SCRIPTS, Situation
from .times import RELEASE_BOUND_S
from .transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from specs import Specification

    from .engines.script import Script
    from .escape.watch import Watch
    from .leaks import Census
    from .subject import Rig, Subject
    from .transcript import Entry

_LOOKS_EACH_S = 0.05


@final
class Lab:
    """What a case works with."""

    def __init__(self, subject: Subject, spec: Specification, seed: int, watch: Watch) -> None:
        self.subject = subject
        self.spec = spec
        self.seed = seed
        self.watch = watch
        self.canaries = Canaries(seed)
        self.transcript = Transcript()
        self.findings: list[Finding] = []
        self.given: list[str] = []
        self.sinks: list[tuple[str, str]] = []
        self.told: list[tuple[str, str]] = []
        self.chains: list[str] = []
        self.address: str | None = None
        self.schemas = SchemaOracle(spec, spec.frame_order("adapter").events)
        self.errors = ErrorOracle(spec)
        self.own = OwnMessages(spec)
        self.readers: list[trio.lowlevel.Task] = []
        self.open_streams = 0
        self.random = Random(seed)

    @asynccontextmanager
    async def open(
        self,
        *scripts: Script,
        slots: int = 4,
        first_token_s: float | None = None,
        idle_s: float | None = None,
        credentials_in_url: bool = False,
        dial_error: str | None = None,
        dial_s: float = 0.0,
        silent_after: int | None = None,
        key_in_query: bool = False,
        random: Callable[[], float] | None = None,
    ) -> AsyncIterator[Bench]:
        """Open the subject with an engine that plays `scripts`; leaks are looked for when the block is left.

        The keywords are those of `Situation`; without `random` the adapter draws from the case's own.
        """
        for script in scripts:
            check_script(script)
        self.given.extend(script_text(script) for script in scripts)
        async with trio.open_nursery() as engine_tasks:
            before = census(engine_tasks, self.readers)
            situation = Situation(
                scripts=scripts,
                engine_tasks=engine_tasks,
                canaries=self.canaries,
                random=random or self.random.random,
                slots=slots,
                first_token_s=first_token_s,
                idle_s=idle_s,
                credentials_in_url=credentials_in_url,
                dial_error=dial_error,
                dial_s=dial_s,
                silent_after=silent_after,
                key_in_query=key_in_query,
            )
            self._need_what_it_asks(situation)
            async with self.subject.open(situation) as opened_rig:
                rig = self._noting(opened_rig)
                opened = census(engine_tasks, self.readers)
                self.address = rig.address
                self.watch.own.add(type(rig.adapter).__module__.partition(".")[0])
                self.sinks.append(("repr(adapter)", repr(rig.adapter)))
                async with trio.open_nursery() as readers:
                    yield Bench(self, rig, readers)
                await self._grant(RELEASE_BOUND_S, lambda: census(engine_tasks, self.readers) - opened)
                self._check_quiet(rig, census(engine_tasks, self.readers) - opened)
            await self.settle()  # no longer: engines drop idle connections by themselves
            self._check_closed(rig, census(engine_tasks, self.readers) - before)
            engine_tasks.cancel_scope.cancel()

    def tell(self, sink: str, text: str) -> None:
        """Keep a text that goes on to callers of the service."""
        self.sinks.append((sink, text))
        self.told.append((sink, text))

    async def until(self, at_s: float, checkpoints: int = 0) -> None:
        """Sleep until virtual time `at_s` of this case, then pass so many checkpoints."""
        await trio.sleep_until(at_s)
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()

    async def settle(self) -> None:
        """Let everything happen that needs no time to pass."""
        await trio.testing.wait_all_tasks_blocked()

    def need(self, means: str) -> None:
        """Leave the case as not applicable if the subject cannot induce this."""
        why = self.subject.limits.get(means)
        if why is not None:
            raise NotApplicable(why)

    def expect(self, check_id: str, condition: bool, expected: str, actual: str, *at: Entry) -> bool:
        """Note a finding unless `condition` holds, marking the entries `at`; return the condition."""
        if not condition:
            self.find(Finding(check_id, expected, actual), *at)
        return condition

    def require(self, check_id: str, condition: bool, expected: str, actual: str, *at: Entry) -> None:
        """End the case with a finding unless `condition` holds."""
        if not self.expect(check_id, condition, expected, actual, *at):
            raise Stop

    def find(self, finding: Finding, *at: Entry) -> None:
        """Note a finding and mark where it showed."""
        self.findings.append(finding)
        for entry in at:
            self.transcript.mark(entry)

    def find_all(self, findings: Iterable[Finding], *at: Entry) -> None:
        """Note several findings about the same entries."""
        for finding in findings:
            self.find(finding, *at)

    def hear(self, error: BaseException) -> None:
        """Keep everything an exception says for the search for secrets, and nothing of what it holds alive."""
        self.sinks.append(("exception", f"{error!r} {error.args!r} {getattr(error, '__notes__', '')}"))
        self.chains.append("".join(traceback.format_exception(error)))
        for each in _with_causes(error):
            self.chains.append(f"{each!r} {each} {getattr(each, '__notes__', '')}")  # also of a context that is hidden
            each.__traceback__ = None

    def _noting(self, rig: Rig) -> Rig:
        """Return the rig with its engine's death and return written down."""

        def stop() -> None:
            self.transcript.note("engine", "its process ends")
            rig.stop()

        def start() -> None:
            self.transcript.note("engine", "its process is started again")
            rig.start()

        return replace(rig, stop=stop, start=start)

    def _need_what_it_asks(self, situation: Situation) -> None:
        """Leave the case as not applicable if the subject does not heed a part of this situation."""
        asked = {
            "slow-connections": situation.dial_s != 0,
            "silent-connections": situation.silent_after is not None,
            "failing-connections": situation.dial_error is not None,
            "address-with-secrets": situation.credentials_in_url or situation.key_in_query,
        }
        for means, is_asked in asked.items():
            if is_asked:
                self.need(means)

    async def _grant(self, bound_s: float, left: Callable[[], Census]) -> None:
        """Give what is to end its time; in real time, no longer than something is left."""
        if SCRIPTS not in self.subject.limits:
            await trio.sleep(bound_s)
            return
        with trio.move_on_after(bound_s):
            while left():  # noqa: ASYNC110 - nobody tells when another's task ends
                await trio.sleep(_LOOKS_EACH_S)

    def _check_quiet(self, rig: Rig, leaked: Census) -> None:
        """After every call has returned: nothing that a call started may be left."""
        self.expect("LEA-01", not leaked, "no task after the calls returned", f"still alive: {names(leaked)}")
        if self.open_streams:
            return
        live = rig.facts.live
        self.expect("LEA-03", live == 0, "an engine without work", f"it still works on {live} request(s)")

    def _check_closed(self, rig: Rig, leaked: Census) -> None:
        """After the adapter is closed: no task and no connection may be left."""
        self.expect("LEA-01", not leaked, "no task after the adapter is closed", f"still alive: {names(leaked)}")
        count = rig.facts.connections
        self.expect("LEA-02", count == 0, "no connection after the adapter is closed", f"{count} still open")


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
