import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.canary import PLACES, Canaries

CANARIES = Canaries(3)
KEY = CANARIES["api_key"]


def _base64(prefix: bytes) -> str:
    return base64.b64encode(prefix + KEY.encode() + b"suffix").decode()


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize(
    ("written", "form"),
    [
        (KEY, "as it is"),
        (json.dumps({"key": KEY}).replace("/", "\\/"), "JSON string"),
        (f"http://u:{quote(KEY, safe='')}@host/", "percent-encoded"),
        (KEY.encode().hex(), "hexadecimal"),
        (KEY.encode().hex().upper(), "hexadecimal"),
        (_base64(b""), "base64"),
        (_base64(b"u"), "base64"),
        (_base64(b"us"), "base64"),
        (_base64(b"user:"), "base64"),
        (base64.urlsafe_b64encode(b"user:" + KEY.encode()).decode(), "base64url"),
        (KEY[::-1], "backwards"),
        (f"starts with {KEY[:13]}...", "in part"),
        (f"ends with {KEY[-12:]}", "in part"),
    ],
)
def test_every_form_is_found_and_masked(written: str, form: str) -> None:
    sighting = CANARIES.find(f"before {written} after", "a log line")
    assert sighting is not None
    assert (sighting.place, sighting.sink) == ("api_key", "a log line")
    assert sighting.form in {form, "base64", "as it is"}
    masked = CANARIES.mask(f"before {written} after")
    assert CANARIES.find(masked, "masked") is None
    assert "[canary:api_key]" in masked


@given(text=st.text())
def test_no_other_text_is_taken_for_one(text: str) -> None:
    assert CANARIES.find(text, "text") is None
    assert CANARIES.mask(text) == text


def test_places_and_seeds_have_values_of_their_own() -> None:
    values = {Canaries(seed)[place] for seed in range(5) for place in PLACES}
    assert len(values) == 5 * len(PLACES)


def test_canaries_do_not_show_themselves() -> None:
    assert KEY not in repr(CANARIES)
