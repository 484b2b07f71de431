"""The tables of a pool that rule its replicas: bounds merged into settings, and policies as the host takes them."""

from __future__ import annotations

import pytest

from adapter_host import BreakerPolicy, PoolPolicy, RetryPolicy

from .support import configured, pool, refused

URL = "http://127.0.0.1:9"


@pytest.mark.req("AH-1006")
def test_the_bounds_of_a_pool_are_those_of_its_replicas_unless_they_have_their_own() -> None:
    replicas = [
        {"id": "a", "settings": {"url": URL}},
        {"id": "b", "settings": {"url": URL, "timeouts": {"idle_ms": 7}}},
    ]
    config = configured({"pools": [pool(replicas=replicas, timeouts={"idle_ms": 900})]})
    assert [replica.settings["timeouts"] for replica in config.pools[0].replicas] == [{"idle_ms": 900}, {"idle_ms": 7}]
    without = configured({"pools": [pool(replicas=replicas)]})
    assert "timeouts" not in without.pools[0].replicas[0].settings


@pytest.mark.req("AH-1006", "OC-CONFIG-6001")
def test_a_bound_that_the_engine_does_not_have_is_told_at_the_pool() -> None:
    (problem,) = refused({"pools": [pool(timeouts={"idle_ms": 900, "total_ms": 5})]})
    assert "pools[0].timeouts.total_ms: the adapter of fake has no such bound (it has: idle_ms" in problem


@pytest.mark.req("AH-1006")
def test_what_is_no_table_is_told_where_it_stands() -> None:
    replicas = [{"settings": {"url": URL, "timeouts": 5}}]
    problem = refused({"pools": [pool(replicas=replicas, timeouts={"idle_ms": 900})]})[0]
    assert "pools[0].replicas[0].settings.timeouts: expected a table" in problem


@pytest.mark.req("AH-1006")
def test_the_policy_is_what_the_tables_say_in_seconds_and_shares() -> None:
    given = {
        "retry": {"attempts": 5, "base_ms": 50, "cap_ms": 500, "budget": 4, "budget_percent": 25},
        "breaker": {"failures": 7, "open_ms": 250, "cap_ms": 4000},
        "health": {"timeout_ms": 1500, "capabilities_ttl_ms": 60_000},
    }
    assert configured({"pools": [pool(**given)]}).pools[0].policy == PoolPolicy(
        retry=RetryPolicy(attempts=5, base_s=0.05, cap_s=0.5, budget=4, share=0.25),
        breaker=BreakerPolicy(failures=7, open_s=0.25, cap_s=4.0),
        report_s=1.5,
        capabilities_s=60.0,
    )


@pytest.mark.req("AH-1006")
def test_a_pool_that_says_nothing_has_the_hosts_own_policy() -> None:
    assert configured({"pools": [pool()]}).pools[0].policy == PoolPolicy()


@pytest.mark.req("AH-1006", "OC-CONFIG-6001")
@pytest.mark.parametrize(
    ("table", "key", "value"),
    [("retry", "attempts", 0), ("breaker", "failures", -1), ("health", "successes", 0), ("retry", "atempts", 2)],
)
def test_keys_and_ranges_are_checked(table: str, key: str, value: int) -> None:
    (problem,) = refused({"pools": [pool(**{table: {key: value}})]})
    assert f"pools[0].{table}.{key}" in problem
