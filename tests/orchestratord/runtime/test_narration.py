"""Narration frames: where they stand, when they are left out, and that they never come after the end."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from adapter_api import End, Started, Token, WorkerReset
from orchestratord.core.task import CancelReason
from tests.support.scripted import TICK, ScriptedAdapter, answer
from tests.support.service_rig import decode, frames_of, open_rig

Clock = trio.testing.MockClock
ON = {"narration": True}
NO_PAUSE = {"retry": {"base_ms": 0}}


@pytest.mark.req("ORCH-3301", "OC-CTRL-2027")
async def test_narration_stands_after_started_and_before_the_end(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a", "b")]), stream=ON) as rig:
        frames = await rig.read(rig.admit())
    told = [(seen.event, seen.data.get("action")) for seen in frames if seen.event != "metrics"]
    assert told == [
        ("started", None),
        ("narration", "start"),
        ("token", None),
        ("token", None),
        ("narration", "end"),
        ("end", None),
    ]
    assert all(seen.data["human"] and seen.data["actor"] == "orchestratord" for seen in frames if "human" in seen.data)


@pytest.mark.req("ORCH-3301")
async def test_nothing_is_narrated_unless_it_is_asked_for(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a")])) as rig:
        frames = await rig.read(rig.admit())
    assert "narration" not in [seen.event for seen in frames]


@pytest.mark.req("ORCH-3301", "OC-CTRL-2012")
async def test_a_cancel_is_narrated_to_a_reader_that_skips_tokens(autojump_clock: Clock) -> None:
    async with open_rig(ScriptedAdapter(streams=[answer("a", "b", gap_s=128 * TICK)]), stream=ON) as rig:
        task = rig.admit()
        reader = rig.attach(task)
        await trio.sleep(64 * TICK)
        task.cancel(CancelReason.CLIENT)
        batch = await reader.next_batch()
        assert batch is not None
        assert [(seen.event, seen.data.get("action")) for seen in decode(batch)] == [
            ("started", None),
            ("narration", "cancel"),
            ("end", None),
        ]
        reader.detach()
        assert [seen.id for seen in frames_of(task)] == list(range(1, len(task.log.frames) + 1))


@pytest.mark.req("ORCH-3301")
async def test_progress_is_narrated_at_the_configured_period(autojump_clock: Clock) -> None:
    steps = [Started(), *[step for i in range(8) for step in (Token("x", i), 0.5)], End(tokens_out=8, decode_time_ms=0)]
    table = {**ON, "narration_period_ms": 1000}
    async with open_rig(ScriptedAdapter(streams=[steps]), stream=table) as rig:
        frames = await rig.read(rig.admit())
    actions = [seen.data["action"] for seen in frames if seen.event == "narration"]
    assert actions == ["start", "progress", "progress", "progress", "progress", "end"]


@pytest.mark.req("ORCH-3301")
async def test_the_start_is_narrated_first_and_once(autojump_clock: Clock) -> None:
    """Whatever the clock says, and whoever else had begun before."""
    first = ScriptedAdapter(streams=[[2.0, Started(), 2.0, WorkerReset("cut")]])
    table = {**ON, "narration_period_ms": 60_000}
    async with open_rig(first, ScriptedAdapter(streams=[answer("a")]), stream=table, pool=NO_PAUSE) as rig:
        await trio.sleep(1000)
        frames = await rig.read(rig.admit())
    assert [seen.data["action"] for seen in frames if seen.event == "narration"] == ["start", "end"]


@pytest.mark.req("SSE-1004a")
async def test_a_reader_that_is_behind_gets_no_narration_in_between(autojump_clock: Clock) -> None:
    table = {**ON, "narration_period_ms": 1, "channel_cap": 8}
    steps = [Started(), *[step for i in range(6) for step in (Token("x", i), 0.5)], End(tokens_out=6, decode_time_ms=0)]
    async with open_rig(ScriptedAdapter(streams=[steps]), stream=table) as rig:
        task = rig.admit()
        reader = rig.attach(task)  # and never reads
        await trio.sleep(5)
        task.cancel(CancelReason.CLIENT)
        actions = [seen.data["action"] for seen in frames_of(task) if seen.event == "narration"]
        reader.detach()
    assert actions == ["start", "cancel"]
