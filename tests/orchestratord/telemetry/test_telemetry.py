"""What the service tells of a task's life: which lines, which fields, and what never."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

import specs
from adapter_api import AdapterError, Message, Sampling, Started, Token, WorkerProps, WorkerReset
from orchestratord.errors import Refused
from tests.support.scripted import ScriptedAdapter, answer
from tests.support.service_rig import CORRELATION, POOL, new_order, open_rig

if TYPE_CHECKING:
    from tests.support.service_rig import Rig

Clock = trio.testing.MockClock
PROMPT = "my private words"
SECRET = "canary-7f3a91-canary"
OWN_FIELDS = {
    "candidates_considered", "filters_applied", "tie_breakers_applied", "reason", "detail", "prompt", "state",
}  # fmt: skip
"""What our lines hold beyond the documented fields, which are a minimum."""


async def play(rig: Rig) -> None:
    """A whole life, a cancel, a failure and a refusal."""
    adapter = rig.adapters[0]
    adapter.streams = [
        answer("hello", "there"),
        [Started(), Token("x", 0), trio.Event()],
        [Started(), WorkerReset(f"the engine at {SECRET} died " + "x" * 400)],
    ]
    told = {"prompt": PROMPT, "inputs": (PROMPT,), "sampling": Sampling(stop=(PROMPT,))}
    await rig.read(rig.admit(new_order(**told)))  # type: ignore[arg-type]  # named freely
    canceled = rig.admit(new_order(prompt="", messages=(Message("user", PROMPT),)))
    await trio.sleep(1)
    await rig.dispatcher.cancel(canceled.task_id)
    await trio.sleep(4)
    await rig.read(rig.admit(new_order(prompt=PROMPT)))
    with pytest.raises(Refused):
        rig.admit(new_order(prompt=PROMPT, model_ref=f"https://u:{SECRET}@h/m"))
    await trio.sleep(4)


@pytest.mark.req("ORCH-3027", "ORCH-3027b", "ORCH-3300", "OC-CTRL-2050")
async def test_each_moment_is_one_line_with_its_ids(autojump_clock: Clock) -> None:
    async with open_rig() as rig:
        task = rig.admit(new_order(session_id="s", seed=7))
        await rig.read(task)
        await trio.testing.wait_all_tasks_blocked()
        own = [line for line in rig.lines() if line["actor"] == "orchestratord" and "job_id" in line]
        assert [line["event"] for line in own] == ["placement", "admission", "start", "end"]
        for line in own:
            assert (line["job_id"], line["session_id"]) == (task.task_id, "s")
            assert (line["correlation_id"], line["engine"], line["seed"]) == (CORRELATION, "scripted", 7)
            assert (line["pool_id"], line["target"], line["action"]) == (POOL, POOL, line["event"])
            assert line["identity"] == "localhost"
        assert (own[1]["queue_position"], own[1]["predicted_start_ms"]) == (0, 0)
        assert own[3].items() >= {"tokens_out": 2, "decode_time_ms": 1, "replica_id": "r0", "duration_ms": 0}.items()


@pytest.mark.req("ORCH-3027", "ORCH-3604", "AH-2001")
async def test_lines_hold_documented_fields_only(autojump_clock: Clock) -> None:
    async with open_rig(secrets=[SECRET]) as rig:
        await play(rig)
        documented = set(specs.load().log.fields) | OWN_FIELDS
        assert {name for line in rig.lines() for name in line} <= documented
        events = {line["event"] for line in rig.lines()}
        assert events >= {
            "placement", "admission", "reject", "start", "end", "cancel", "error", "health",
            "submit", "stream_start", "stream_end",
        }  # fmt: skip


@pytest.mark.req("ORCH-3300", "ORCH-3300a", "OC-CTRL-2041")
async def test_every_sentence_is_short_and_has_no_ids(autojump_clock: Clock) -> None:
    async with open_rig(secrets=[SECRET]) as rig:
        await play(rig)
        for line in rig.lines():
            human = str(line["human"])
            assert 0 < len(human) <= 160
            assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", human)
            assert CORRELATION not in human


@pytest.mark.req("HTU-1004", "HTU-1004g", "OC-CTRL-2041", "ORCH-3027a")
async def test_no_prompt_no_answer_and_no_secret_is_told(autojump_clock: Clock) -> None:
    async with open_rig(secrets=[SECRET]) as rig:
        await play(rig)
        told = rig.log.getvalue() + rig.telemetry.exposition([rig.pool]).decode()
        assert PROMPT not in told
        assert "hello" not in told
        assert SECRET not in told
        assert SECRET[:8] not in told
        per_task = [line for line in rig.lines() if line.get("job_id")]
        assert len(per_task) < 40  # not one for each token


@pytest.mark.req("HTU-1004g")
async def test_prompts_are_told_where_the_configuration_says_so(autojump_clock: Clock) -> None:
    async with open_rig(log={"prompts": True}) as rig:
        await rig.read(rig.admit(new_order(prompt=PROMPT)))
        assert [line["prompt"] for line in rig.lines() if "prompt" in line] == [PROMPT]


@pytest.mark.req("ORCH-3027c")
async def test_levels_say_who_should_look(autojump_clock: Clock) -> None:
    async with open_rig(secrets=[SECRET]) as rig:
        await play(rig)
        levels = {(line["event"], line["level"]) for line in rig.lines() if line["actor"] == "orchestratord"}
        assert {("cancel", "info"), ("error", "warning"), ("reject", "info"), ("end", "info")} <= levels
        failed = next(line for line in rig.lines() if line["event"] == "error" and line["actor"] == "orchestratord")
        assert failed["error_kind"] == "WORKER_RESET"


@pytest.mark.req("OC-CTRL-2051", "ORCH-3028")
async def test_every_moment_is_counted_once(autojump_clock: Clock) -> None:
    async with open_rig(secrets=[SECRET]) as rig:
        await play(rig)
        everywhere = {"engine": "scripted", "engine_version": "1.0", "pool_id": "p"}
        assert rig.metric("tasks_enqueued_total", **everywhere, replica_id="unplaced", priority="interactive") == 3
        assert rig.metric("tasks_started_total", **everywhere, replica_id="r0", priority="interactive") == 3
        assert rig.metric("tasks_canceled_total", **everywhere, replica_id="r0", reason="client") == 1
        assert rig.metric("tasks_rejected_total", engine="scripted", reason="POOL_UNAVAILABLE") == 1
        assert rig.metric("tokens_out_total", **everywhere, replica_id="r0") == 3
        assert rig.metric("latency_first_token_ms_count", **everywhere, priority="interactive") == 2
        assert rig.metric("latency_decode_ms_count", **everywhere, priority="interactive") == 1
        assert rig.metric("placement_decisions_total", outcome="placed", pinned="false", fallback="false") == 3
        assert rig.metric("placement_decisions_total", outcome="refused") == 1
        assert rig.metric("placement_candidates_considered") == 1
        assert rig.metric("pool_ready", pool_id="p") == 1


@pytest.mark.req("OC-METRICS-7101a")
async def test_a_gauge_of_what_the_engine_does_not_tell_is_absent(autojump_clock: Clock) -> None:
    async with open_rig() as rig:
        replica = next(iter(rig.pool.replicas.values()))
        assert "kv_cache_usage_ratio{" not in rig.telemetry.exposition([rig.pool]).decode()
        replica.props = WorkerProps(kv_cache_usage_ratio=0.5)
        assert rig.metric("kv_cache_usage_ratio", replica_id="r0") == 0.5
        replica.props = WorkerProps()
        assert "kv_cache_usage_ratio{" not in rig.telemetry.exposition([rig.pool]).decode()


@pytest.mark.req("OC-METRICS-7101a")
async def test_no_gauge_stays_behind_when_an_engine_changes_its_version(autojump_clock: Clock) -> None:
    async with open_rig() as rig:
        replica = next(iter(rig.pool.replicas.values()))
        assert rig.metric("queue_depth", engine_version="1.0") == 0
        replica.capabilities = replace(replica.capabilities, engine_version="2.0") if replica.capabilities else None
        versions = {sample.labels["engine_version"] for sample in rig.samples() if sample.name == "queue_depth"}
        assert versions == {"2.0"}


@pytest.mark.req("OC-CTRL-2032a")
async def test_the_details_of_an_internal_error_are_in_the_log_and_nowhere_else(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(streams=[[Started(), KeyError("choices")]])
    async with open_rig(adapter) as rig:
        frames = await rig.read(rig.admit())
        assert "choices" not in str(frames[-1].data)
        (line,) = [line for line in rig.lines() if line["event"] == "internal"]
        assert "choices" in str(line["detail"])
        assert line["correlation_id"] == CORRELATION
        assert line["level"] == "error"


@pytest.mark.req("AH-1005b")
async def test_the_engines_words_are_told_to_the_client_that_asked(autojump_clock: Clock) -> None:
    adapter = ScriptedAdapter(entry=[AdapterError("completion: HTTP 400: bad grammar", blames_request=True)])
    async with open_rig(adapter) as rig:
        frames = await rig.read(rig.admit())
        assert frames[-1].data["message"] == "completion: HTTP 400: bad grammar"


@pytest.mark.req("OC-METRICS-7102", "HTU-1004")
async def test_an_engine_that_nobody_runs_is_no_label(autojump_clock: Clock) -> None:
    """What a client types there may be anything, a credential too."""
    async with open_rig() as rig:
        with pytest.raises(Refused):
            rig.admit(new_order(engine="sk-typed-into-the-wrong-field"))
        assert rig.metric("tasks_rejected_total", engine="other", reason="POOL_UNAVAILABLE") == 1
        assert b"sk-typed" not in rig.telemetry.exposition(rig.dispatcher.pools.values())


@pytest.mark.req("AH-3001a", "HTU-1004", "ORCH-3027")
@pytest.mark.parametrize("log_prompts", [False, True])
async def test_what_broke_unexpectedly_is_told_without_what_the_caller_wrote(
    autojump_clock: Clock, log_prompts: bool
) -> None:
    async with open_rig(secrets=[SECRET], log={"prompts": log_prompts}) as rig:
        order = new_order(prompt=f"{PROMPT} and some more of them")
        rig.telemetry.unexpected(order, ValueError(f"cannot handle '{order.request.prompt}' at {SECRET}" + "x" * 9999))
        (told,) = [line for line in rig.lines() if line["event"] == "internal"]
        assert PROMPT not in str(told)
        assert SECRET not in str(told)
        assert "cannot handle" in str(told["detail"])
        assert len(str(told["detail"])) < 600


@pytest.mark.req("ORCH-3027", "ORCH-3604", "OC-METRICS-7101")
async def test_further_tries_and_breakers_are_lines_with_documented_fields(autojump_clock: Clock) -> None:
    down = ScriptedAdapter(streams=[[Started(), WorkerReset("cut")]])
    pool = {"breaker": {"failures": 1}, "retry": {"base_ms": 0}}
    async with open_rig(down, ScriptedAdapter(), pool=pool) as rig:
        await rig.read(rig.admit())
        told = [line for line in rig.lines() if line["event"] in {"retry", "breaker"}]
        assert [(line["event"], line["level"]) for line in told] == [("breaker", "warning"), ("retry", "info")]
        documented = set(specs.load().log.fields) | OWN_FIELDS
        assert {name for line in told for name in line} <= documented
