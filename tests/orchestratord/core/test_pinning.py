"""Which replica is the odd one, and what the pool is pinned to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import Capabilities
from orchestratord.core.pinning import Identity, identity_of, pin

OLD, NEW = Identity("b1", "sha256:a"), Identity("b2", "sha256:a")
NOTHING = Identity()

pytestmark = pytest.mark.req("OC-CORE-1031", "OC-CORE-1032")


def test_what_is_pinned_stays_while_one_that_has_it_serves() -> None:
    assert pin(NOTHING, [OLD, NEW]) == OLD
    assert pin(OLD, [NEW, NEW, OLD]) == OLD
    assert pin(OLD, [NEW, NEW]) == NEW
    assert pin(OLD, []) == OLD
    assert pin(OLD, [NOTHING]) == OLD


def test_the_most_common_is_pinned_where_nothing_is() -> None:
    assert pin(NOTHING, [OLD, NEW, NEW]) == NEW
    assert pin(NOTHING, []) == NOTHING


def test_what_one_does_not_tell_another_fills_in() -> None:
    assert pin(NOTHING, [Identity("b1"), OLD]) == OLD
    assert pin(Identity("b1"), [Identity("b1"), OLD]) == OLD


def test_a_difference_is_told_with_both_values() -> None:
    odd = Identity("b2", "sha256:c")
    assert odd.differences(OLD) == (
        "engine_version: 'b2' here, 'b1' in the rest of the pool; "
        "model_digest: 'sha256:c' here, 'sha256:a' in the rest of the pool"
    )
    assert not OLD.differences(OLD)


@pytest.mark.parametrize("version", ["", "unknown"])
def test_what_an_engine_does_not_tell_is_not_a_difference(version: str) -> None:
    told = identity_of(Capabilities(engine="e", engine_version=version, model="m"))
    assert told == NOTHING == identity_of(None)
    assert told.fits(OLD)


identities = st.builds(Identity, st.sampled_from([None, "b1", "b2"]), st.sampled_from([None, "sha256:a", "sha256:b"]))


@given(pinned=identities, serving=st.lists(identities, max_size=5))
def test_somebody_always_fits_and_the_pin_does_not_wander(pinned: Identity, serving: list[Identity]) -> None:
    now = pin(pinned, serving)
    if serving:
        assert any(identity.fits(now) for identity in serving)
    if any(identity.fits(pinned) and identity != NOTHING for identity in serving) and pinned != NOTHING:
        assert pinned.fits(now)
    again = pin(now, serving)
    assert [identity.fits(again) for identity in serving] == [identity.fits(now) for identity in serving]
