"""Whatever an adapter does, a legal order or one `WorkerError` leaves the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import (
    AdapterError,
    End,
    Failed,
    FrameOrder,
    InternalError,
    Metrics,
    PoolUnavailable,
    Started,
    Token,
    WorkerError,
    WorkerReset,
)
from adapter_host import HostedStream
from tests.support.scripted import CHECKPOINTS, Script, ScriptedAdapter, answer

from .support import CANARY, bench, mask, read_to, request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter_api import TokenEvent
    from tests.support.scripted import Step

STARTED = Started()
END = End(tokens_out=1, decode_time_ms=1)
GROUP = ExceptionGroup("two", [ValueError("first"), ExceptionGroup("inner", [WorkerReset("the engine died")])])

MISBEHAVIOURS: dict[str, tuple[Sequence[Step], type[WorkerError], str]] = {
    "nothing at all": ([], WorkerReset, "without an end marker"),
    "stops after started": ([STARTED], WorkerReset, "without an end marker"),
    "stops after a token": ([STARTED, Token("a", 0)], WorkerReset, "without an end marker"),
    "token first": ([Token("a", 0)], InternalError, "frame order: `token` while the stream is idle"),
    "end first": ([END], InternalError, "frame order: `end`"),
    "started twice": ([STARTED, STARTED], InternalError, "frame order: `started`"),
    "a gap": ([STARTED, Token("a", 0), Token("b", 2)], InternalError, "i=2; expected i=1"),
    "a repeat": ([STARTED, Token("a", 0), Token("a", 0)], InternalError, "i=0; expected i=1"),
    "empty text": ([STARTED, Token("", 0)], InternalError, "empty text"),
    "failed event first": ([Failed(PoolUnavailable("loading"))], PoolUnavailable, "^loading$"),
    "failed event later": ([STARTED, Failed(WorkerReset("gone"))], WorkerReset, "^gone$"),
    "raises its own error": ([STARTED, AdapterError("HTTP 500")], AdapterError, "^HTTP 500$"),
    "raises before started": ([WorkerReset("early")], WorkerReset, "^early$"),
    "raises a foreign error": ([STARTED, KeyError("choices")], InternalError, "the adapter raised KeyError: 'choices'"),
    "raises StopIteration": ([STARTED, StopIteration("odd")], InternalError, "StopIteration"),
    "raises a group": ([STARTED, GROUP], WorkerReset, "^the engine died$"),
    "raises a group of strangers": (
        [STARTED, ExceptionGroup("g", [ValueError("lost"), OSError("also")])], InternalError, "ValueError: lost",
    ),
}  # fmt: skip


@pytest.mark.req("AH-1004a", "AH-1005", "ADAPT-3002")
@pytest.mark.parametrize("name", MISBEHAVIOURS)
async def test_every_misbehaviour_is_one_worker_error(name: str) -> None:
    steps, kind, message = MISBEHAVIOURS[name]
    adapter = ScriptedAdapter(streams=[steps])
    rig = bench(adapter)
    events: list[TokenEvent] = []
    with pytest.raises(kind, match=message) as caught:
        async with rig.host.submit(rig.binding.pool_id, request()) as stream:
            await read_to(stream, events)
    assert type(caught.value) is kind
    _assert_prefix(events)
    assert not adapter.live
    assert rig.actions[-1] == "error"
    assert rig.actions.count("error") == 1
    assert rig.notes[-1].fields["error_kind"] == kind.kind


@pytest.mark.req("AH-1004a")
@given(
    steps=st.lists(
        st.sampled_from([
            STARTED,
            Token("a", 0),
            Token("b", 1),
            Metrics({"n": 1}),
            END,
            Failed(WorkerReset("x")),
            ValueError("y"),
            CHECKPOINTS(1),
        ]),
        max_size=10,
    )
)
def test_any_sequence_leaves_in_a_legal_order(steps: list[Step]) -> None:
    async def main() -> None:
        stream = HostedStream(Script(steps), mask, lambda _: None)
        events: list[TokenEvent] = []
        failed = False
        try:
            await read_to(stream, events)
        except WorkerError:
            failed = True
        _assert_prefix(events)
        assert failed != bool(events and isinstance(events[-1], End))
        with pytest.raises(StopAsyncIteration):  # and it stays over
            await anext(stream)

    trio.run(main)


@pytest.mark.req("AH-1004a")
async def test_nothing_passes_after_the_end() -> None:
    rig = bench(ScriptedAdapter(streams=[[*answer("a"), Token("b", 1), ValueError("late")]]))
    events = await rig.collect()
    assert [event.kind for event in events] == ["started", "token", "end"]


@pytest.mark.req("AH-1005", "ADAPT-3002")
@pytest.mark.parametrize("error", [PoolUnavailable("connect: refused"), OSError("refused"), GROUP])
async def test_a_failing_entry_is_a_worker_error(error: Exception) -> None:
    adapter = ScriptedAdapter(entry=[error])
    rig = bench(adapter)
    with pytest.raises(WorkerError, match=r"refused|the engine died"):
        await rig.collect()
    assert rig.actions == ["submit", "error"]


@pytest.mark.req("AH-1005", "ADAPT-3002")
@pytest.mark.parametrize("error", [WorkerReset("close failed"), OSError("close failed")])
async def test_a_failing_exit_is_a_worker_error(error: Exception) -> None:
    rig = bench(ScriptedAdapter(exit=[error]))
    with pytest.raises(WorkerError, match="close failed"):
        await rig.collect()
    assert rig.actions == ["submit", "stream_start", "stream_end", "error"]


@pytest.mark.req("AH-3001", "HTU-1004", "AH-1005b")
@pytest.mark.parametrize(
    "step",
    [
        WorkerReset(f"engine said {CANARY}"),
        ValueError(f"url http://x:{CANARY}@host"),
        Failed(AdapterError(f"bad key {CANARY}")),
        ExceptionGroup(CANARY, [KeyError(CANARY)]),
    ],
)
async def test_no_secret_is_in_an_error_or_a_note(step: Step) -> None:
    rig = bench(ScriptedAdapter(streams=[[STARTED, step]]))
    with pytest.raises(WorkerError) as caught:
        await rig.collect()
    error = caught.value
    shown = [error.message, str(error), repr(error), repr(error.args), *map(repr, rig.notes)]
    assert not [text for text in shown if CANARY in text]
    assert "***" in error.message


async def test_an_error_is_not_its_own_cause() -> None:
    """Whoever follows `__cause__` to the root of a failure comes to an end."""
    rig = bench(ScriptedAdapter(streams=[[STARTED, WorkerReset("gone")]]))
    with pytest.raises(WorkerReset) as caught:
        await rig.collect()
    assert caught.value.__cause__ is not caught.value


async def test_the_adapters_own_exception_is_the_cause() -> None:
    rig = bench(ScriptedAdapter(streams=[[STARTED, KeyError("choices")]]))
    with pytest.raises(InternalError) as caught:
        await rig.collect()
    assert isinstance(caught.value.__cause__, KeyError)


def test_shows_its_state() -> None:
    stream = HostedStream(Script([]), mask, lambda _: None)
    stream.seal()
    assert repr(stream) == "<HostedStream <FrameOrder idle tokens=0> sealed=True>"


def _assert_prefix(events: Sequence[TokenEvent]) -> None:
    order = FrameOrder()
    for event in events:
        order.accept(event)
