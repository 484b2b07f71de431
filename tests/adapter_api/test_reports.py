"""What an adapter reports about its engine."""

from __future__ import annotations

import pytest

from adapter_api import CancelMode, CancelSupport, WorkerProps


@pytest.mark.req("ADAPT-3000")
@pytest.mark.parametrize("mode", list(CancelMode))
@pytest.mark.parametrize("reason", ["", "the engine has no such call"])
def test_a_reason_belongs_to_unsupported_and_only_to_it(mode: CancelMode, reason: str) -> None:
    if (mode is CancelMode.UNSUPPORTED) == bool(reason):
        assert CancelSupport(mode, reason).mode is mode
        return
    with pytest.raises(ValueError, match="reason"):
        CancelSupport(mode, reason)


@pytest.mark.req("ADAPT-3000d")
def test_what_is_unknown_is_none() -> None:
    assert WorkerProps() == WorkerProps(slots_total=None, slots_free=None, queue_depth=None, kv_cache_usage_ratio=None)
