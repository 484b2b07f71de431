"""Whatever bytes an engine sends: only legal events and `WorkerError`s leave its adapter, in time, and nothing leaks.

The bytes are those of the engine's double, recorded once and then mutated; connections are pipes in memory and time is
virtual. An example is a few calls on a fresh adapter.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from adapter_api import End
from conformance.leaks import census, names

from .drawing import mutated
from .mutations import Field, Mutated
from .oddities import ODD_VALUES, TELLING_VALUES, Bulk
from .recording import record
from .replay import URL, Replay
from .targets import REPORTS, TARGETS, context_with
from .verdict import Leaving, Reader, check_reports, check_stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from adapter_api import TokenEvent

    from .recording import Key, Recording
    from .targets import Target

IS_LONG = settings().max_examples > 1000
STREAMS = ("completion", "chat")
"""What is asked for twice as often: streams can go wrong in most ways."""
MOST_TAKEN_BYTES = 64 * 1024 * 1024
"""More than an engine that talks without end can say within the bounds in time, and less than would hurt."""

FIELD_VALUES = (None, *ODD_VALUES) if IS_LONG else (None, *map(Bulk, TELLING_VALUES))

recorded = cache(record)


@dataclass(frozen=True, slots=True)
class Case:
    """One example: what the adapter is asked, and what each of the engine's answers is like."""

    asked: str
    reader: Reader
    changes: Mapping[Key, Mutated]


def cases(target: Target) -> st.SearchStrategy[Case]:
    recording = recorded(target)
    answers = {key: mutated(names) for key, names in recording.names.items()}

    def case(asked: str, called: Sequence[Key]) -> st.SearchStrategy[Case]:
        one = st.sampled_from((*called, called[-1], called[-1])).flatmap(
            lambda key: st.tuples(st.just(key), answers[key])
        )
        changes = st.lists(one, min_size=1, max_size=3).map(dict)
        return st.builds(Case, asked=st.just(asked), reader=readers, changes=changes)

    streams = [case(asked, recording.calls[asked]) for asked in target.kinds if asked in STREAMS]
    return st.one_of([case(asked, called) for asked, called in recording.calls.items()] + streams)


readers = st.just(Reader()) | st.builds(Reader, st.sampled_from(Leaving), st.integers(0, 6))


def play(target: Target, case: Case) -> list[TokenEvent]:
    return trio.run(_play, target, case, clock=MockClock(autojump_threshold=0))


async def _play(target: Target, case: Case) -> list[TokenEvent]:
    """Run the engine around the example; what the example raises leaves as it is, not in a group."""
    failure: Exception | None = None
    events: list[TokenEvent] = []
    async with trio.open_nursery() as engine:
        try:
            events = await _play_in(target, case, engine)
        except Exception as raised:  # noqa: BLE001 - raised again below, outside the nursery
            failure = raised
        engine.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return events


async def _play_in(target: Target, case: Case, engine: trio.Nursery) -> list[TokenEvent]:
    replay = Replay(recorded(target).replies, case.changes, engine)
    before = census(engine)
    async with target.open_adapter(URL, context_with(replay.dial)) as adapter:
        events: list[TokenEvent] = []
        if case.asked == REPORTS:
            await check_reports(adapter)
        else:
            events = await check_stream(adapter, target.tasks[case.asked], case.reader)
        await wait_all_tasks_blocked()
        assert census(engine) == before, names(census(engine) - before)
    assert replay.open == 0, "a connection outlives the adapter"
    assert replay.taken < MOST_TAKEN_BYTES
    return events


@pytest.mark.req("ADAPT-3002", "ADAPT-3010", "HTU-1005", "HTU-1006")
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_whatever_an_engine_sends(target: Target) -> None:
    @given(cases(target))
    def whatever(case: Case) -> None:
        play(target, case)

    whatever()


@pytest.mark.req("ADAPT-3002", "ADAPT-3010", "HTU-1006")
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_any_field_with_any_value(target: Target) -> None:
    """Each field that the adapter reads, where it comes first and last, with values that it does not expect."""
    recording = recorded(target)
    for asked, called in recording.calls.items():
        for key in called:
            for field in odd_fields(recording, key):
                play(target, Case(asked, Reader(), {key: Mutated(parts=(field,))}))


def odd_fields(recording: Recording, key: Key) -> Iterator[Field]:
    """Yield every field with every value; where there is no time for that, with one value each, in turn."""
    parts = (0, -1) if any(len(reply.parts) > 1 for reply in recording.replies[key]) else (0,)
    turns = itertools.cycle(FIELD_VALUES)
    for name, part in itertools.product(recording.names[key], parts):
        for value in FIELD_VALUES if IS_LONG else [next(turns)]:
            yield Field(part, name, value)


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_what_is_recorded_is_understood_when_it_is_played_again(target: Target) -> None:
    """The harness itself: without a change, the answers are those of an engine that works."""
    recorded(target)
    play(target, Case(REPORTS, Reader(), {}))
    for kind in target.kinds:
        assert isinstance(play(target, Case(kind, Reader(), {}))[-1], End), kind
