"""Placement: every filter by name, pins that are never bent, and the same decision for the same view."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import PoolId, Workload
from orchestratord.core.placement import Decision, NoPlace, Placement, PlacementMode, PoolView, Wanted, decide
from orchestratord.errors import Code

A, B, C = PoolId("a"), PoolId("b"), PoolId("c")
WANTED = Wanted(engine="llamacpp", model_ref="m", workload=Workload.COMPLETION, ctx=1024, max_tokens=64)


def pool(pool_id: PoolId = A, **changes: object) -> PoolView:
    view = PoolView(
        pool_id=pool_id,
        engine="llamacpp",
        model_refs=frozenset({"m", "default"}),
        workloads=frozenset({Workload.COMPLETION}),
        ready=True,
        draining=False,
        ctx_max=4096,
        max_tokens_out=256,
        predicted_start_ms=0,
    )
    return replace(view, **changes)  # type: ignore[arg-type]  # a test names fields freely


MISFITS: dict[str, tuple[dict[str, object], Code, Code, str]] = {
    # filter: (what the pool is, code in auto mode, code when pinned, what the message names)
    "engine": ({"engine": "vllm"}, Code.POOL_UNAVAILABLE, Code.INVALID_PARAMS, "engine: "),
    "model": ({"model_refs": frozenset({"n"})}, Code.POOL_UNAVAILABLE, Code.INVALID_PARAMS, "model_ref: "),
    "workload": ({"workloads": frozenset({Workload.RERANK})}, Code.INVALID_PARAMS, Code.INVALID_PARAMS, "workload: "),
    "ctx": ({"ctx_max": 1023}, Code.INVALID_PARAMS, Code.INVALID_PARAMS, "ctx: 1024"),
    "max_tokens": ({"max_tokens_out": 63}, Code.INVALID_PARAMS, Code.INVALID_PARAMS, "max_tokens: 64"),
    "draining": ({"draining": True}, Code.POOL_UNREADY, Code.POOL_UNREADY, "drains"),
    "ready": ({"ready": False}, Code.POOL_UNREADY, Code.POOL_UNREADY, "not ready"),
}
PIN = Placement(mode=PlacementMode.PIN, pin_pool_id=A)


@pytest.mark.req("ORCH-3900", "OC-CORE-1010", "OC-CORE-1012", "OC-CORE-1013", "ORCH-3038b")
@pytest.mark.parametrize("name", MISFITS)
def test_a_pool_that_does_not_fit_is_passed_over_and_refused_when_alone(name: str) -> None:
    changes, code, _, words = MISFITS[name]
    misfit = pool(A, **changes)
    refusal = decide(WANTED, [misfit])
    assert isinstance(refusal, NoPlace)
    assert refusal.code is code
    assert words in refusal.message
    assert refusal.hint
    decision = decide(WANTED, [misfit, pool(B, predicted_start_ms=9000)])
    assert isinstance(decision, Decision)
    assert decision.pool_id == B
    assert decision.filters_applied == (name,)
    assert decision.candidates_considered == 1


@pytest.mark.req("OC-CTRL-2013", "OC-CTRL-2014", "AH-1007")
@pytest.mark.parametrize("name", MISFITS)
def test_a_pin_that_does_not_fit_is_refused_and_never_bent(name: str) -> None:
    changes, _, code, _ = MISFITS[name]
    refusal = decide(replace(WANTED, placement=PIN), [pool(A, **changes), pool(B)])
    assert isinstance(refusal, NoPlace)
    assert refusal.code is code
    assert refusal.pool_id == A


@pytest.mark.req("OC-CTRL-2013", "OC-CTRL-2014")
def test_a_pin_wins_over_everything_that_only_ranks() -> None:
    placement = replace(PIN, avoid_pools=(A,), prefer_pools=(B,))
    decision = decide(replace(WANTED, placement=placement), [pool(B), pool(A, predicted_start_ms=60_000)])
    assert isinstance(decision, Decision)
    assert (decision.pool_id, decision.pinned, decision.fallback_used) == (A, True, False)


@pytest.mark.req("OC-CTRL-2014")
def test_an_unknown_pin_is_refused_with_the_pools_that_are_there() -> None:
    placement = Placement(mode=PlacementMode.PIN, pin_pool_id=PoolId("zz"))
    refusal = decide(replace(WANTED, placement=placement), [pool(A), pool(B)])
    assert isinstance(refusal, NoPlace)
    assert refusal.code is Code.INVALID_PARAMS
    assert "placement.pin_pool_id" in refusal.message
    assert refusal.hint == "pools: a (llamacpp), b (llamacpp)"


@pytest.mark.req("ORCH-3900")
def test_a_pin_id_without_the_pin_mode_does_not_pin() -> None:
    placement = Placement(mode=PlacementMode.AUTO, pin_pool_id=B)
    decision = decide(replace(WANTED, placement=placement), [pool(A), pool(B, predicted_start_ms=1)])
    assert isinstance(decision, Decision)
    assert (decision.pool_id, decision.pinned) == (A, False)


@pytest.mark.req("ORCH-3900")
def test_avoided_pools_are_left_out() -> None:
    placement = Placement(avoid_pools=(A,))
    decision = decide(replace(WANTED, placement=placement), [pool(A), pool(B, predicted_start_ms=5)])
    assert isinstance(decision, Decision)
    assert decision.pool_id == B
    refusal = decide(replace(WANTED, placement=placement), [pool(A)])
    assert isinstance(refusal, NoPlace)
    assert "placement.avoid_pools" in refusal.message


@pytest.mark.req("ORCH-3900")
@pytest.mark.parametrize("preferred_is_ready", [True, False])
@pytest.mark.parametrize("allow_fallback", [True, False])
def test_a_preference_falls_back_only_where_it_may(*, preferred_is_ready: bool, allow_fallback: bool) -> None:
    placement = Placement(mode=PlacementMode.PREFER, prefer_pools=(B, C), allow_fallback=allow_fallback)
    pools = [pool(A), pool(B, predicted_start_ms=5, ready=preferred_is_ready)]
    decision = decide(replace(WANTED, placement=placement), pools)
    if preferred_is_ready:
        assert isinstance(decision, Decision)
        assert (decision.pool_id, decision.fallback_used) == (B, False)
    elif allow_fallback:
        assert isinstance(decision, Decision)
        assert (decision.pool_id, decision.fallback_used) == (A, True)
    else:
        assert isinstance(decision, NoPlace)
        assert decision.code is Code.POOL_UNREADY


@pytest.mark.req("ORCH-3900")
def test_the_earliest_start_wins_and_ties_go_by_name() -> None:
    decision = decide(WANTED, [pool(C, predicted_start_ms=5), pool(B), pool(A)])
    assert isinstance(decision, Decision)
    assert (decision.pool_id, decision.tie_breakers_applied) == (A, ("pool_id",))
    decision = decide(WANTED, [pool(C, predicted_start_ms=5), pool(A, predicted_start_ms=6)])
    assert isinstance(decision, Decision)
    assert (decision.pool_id, decision.tie_breakers_applied) == (C, ())


def test_an_engine_that_does_not_tell_its_limits_is_not_held_to_any() -> None:
    wanted = replace(WANTED, ctx=10**9, max_tokens=10**9)
    assert isinstance(decide(wanted, [pool(ctx_max=None, max_tokens_out=None)]), Decision)


@pytest.mark.req("OC-CORE-1012", "OC-CTRL-2010")
@pytest.mark.parametrize(("over", "refused"), [(0, None), (1, "ctx: 1025")])
def test_a_context_may_be_used_to_its_last_token(over: int, refused: str | None) -> None:
    decision = decide(replace(WANTED, ctx=1024 + over), [pool(ctx_max=1024)])
    assert isinstance(decision, NoPlace) == bool(refused)
    assert not isinstance(decision, NoPlace) or (refused or "") in decision.message


@pytest.mark.req("OC-CORE-1012", "OC-CTRL-2010")
@pytest.mark.parametrize(("over", "refused"), [(0, None), (1, "max_tokens: 65")])
def test_an_answer_may_have_the_last_token_that_is_allowed(over: int, refused: str | None) -> None:
    decision = decide(replace(WANTED, max_tokens=64 + over), [pool(max_tokens_out=64)])
    assert isinstance(decision, NoPlace) == bool(refused)
    assert not isinstance(decision, NoPlace) or (refused or "") in decision.message


@pytest.mark.req("ORCH-3602k")
@pytest.mark.parametrize("placement", [Placement(), PIN])
def test_a_pool_whose_replicas_are_all_left_alone_tells_how_long(placement: Placement) -> None:
    wanted = replace(WANTED, placement=placement)
    other = pool(B, shut_for_ms=100, model_refs=frozenset({"n"}))
    refusal = decide(wanted, [pool(A, ready=False, shut_for_ms=700), other])
    assert isinstance(refusal, NoPlace)
    assert (refusal.code, refusal.retry_after_ms) == (Code.POOL_UNAVAILABLE, 700)
    assert "left alone" in refusal.message


@pytest.mark.req("ORCH-3602k")
def test_of_several_pools_that_are_left_alone_the_first_to_come_back_counts() -> None:
    refusal = decide(WANTED, [pool(A, shut_for_ms=700), pool(B, shut_for_ms=300)])
    assert isinstance(refusal, NoPlace)
    assert refusal.retry_after_ms == 300
    assert isinstance(decide(WANTED, [pool(A, shut_for_ms=700), pool(B)]), Decision)


def test_no_pools_at_all_is_an_answer_too() -> None:
    refusal = decide(WANTED, [])
    assert isinstance(refusal, NoPlace)
    assert refusal.code is Code.POOL_UNAVAILABLE


views = st.builds(
    pool,
    st.just(A),
    engine=st.sampled_from(["llamacpp", "vllm"]),
    model_refs=st.sampled_from([frozenset({"m"}), frozenset({"n"}), frozenset({"m", "n"})]),
    ready=st.booleans(),
    draining=st.booleans(),
    ctx_max=st.sampled_from([None, 512, 4096]),
    max_tokens_out=st.sampled_from([None, 32, 256]),
    predicted_start_ms=st.integers(0, 3),
)
fields = st.lists(views, max_size=6).map(
    lambda pools: [replace(view, pool_id=PoolId(f"p{at}")) for at, view in enumerate(pools)]
)
names = st.lists(st.sampled_from([PoolId(f"p{at}") for at in range(7)]), max_size=3).map(tuple)
placements = st.builds(
    Placement,
    mode=st.sampled_from(PlacementMode),
    pin_pool_id=st.sampled_from([None, PoolId("p0"), PoolId("p1"), PoolId("p6")]),
    prefer_pools=names,
    avoid_pools=names,
    allow_fallback=st.booleans(),
)


@pytest.mark.req("ORCH-3900", "OC-CTRL-2014")
@given(pools=fields, placement=placements)
def test_any_decision_is_a_fit_and_does_not_depend_on_the_order_of_pools(
    pools: list[PoolView], placement: Placement
) -> None:
    wanted = replace(WANTED, placement=placement)
    decision = decide(wanted, pools)
    shuffled = list(reversed(pools))
    again = decide(wanted, shuffled)
    if isinstance(decision, NoPlace):
        assert isinstance(again, NoPlace)
        assert (again.code, again.message) == (decision.code, decision.message)
        return
    assert again == decision
    chosen = next(view for view in pools if view.pool_id == decision.pool_id)
    assert isinstance(decide(replace(wanted, placement=Placement()), [chosen]), Decision)  # it fits by itself
    is_pinned = placement.mode is PlacementMode.PIN and placement.pin_pool_id is not None
    assert decision.pinned == is_pinned
    if is_pinned:
        assert decision.pool_id == placement.pin_pool_id
    else:
        assert decision.pool_id not in placement.avoid_pools
