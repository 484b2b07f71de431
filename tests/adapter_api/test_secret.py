"""A secret gives itself away in one place only."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import pytest

from adapter_api import Secret

CANARY = "canary-7f3a91"

pytestmark = pytest.mark.req("HTU-1004", "HTU-1004h")


def test_reveals_its_value_on_request_only() -> None:
    secret = Secret(CANARY)
    assert secret.reveal() == CANARY
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, repr({"key": [secret]})]  # noqa: UP031
    assert not [text for text in shown if CANARY in text]


def test_is_not_written_by_serialisers() -> None:
    secret = Secret(CANARY)
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)


def test_has_no_attributes_to_list() -> None:
    with pytest.raises(TypeError):
        vars(Secret(CANARY))


def test_does_not_show_in_a_traceback() -> None:
    try:
        _fail_with(Secret(CANARY))
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "Secret(***)" in shown
    assert CANARY not in shown


def test_compares_by_value() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY
    assert len({Secret(CANARY), Secret(CANARY)}) == 1


def _fail_with(secret: Secret) -> None:
    raise ValueError(f"cannot use {secret}")
