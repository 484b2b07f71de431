"""The table of codes against the specification, and the envelope that a failed engine call becomes."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

import specs
from adapter_api import ERROR_KINDS, WorkerError
from orchestratord.errors import (
    AUTH_NUMBERS,
    INTERNAL_MESSAGE,
    TERMS,
    Code,
    ErrorEnvelope,
    Refused,
    envelope_of,
)


@pytest.mark.req("OC-CTRL-2030", "OC-CTRL-2030a", "OC-CTRL-2032")
def test_the_codes_are_those_of_the_specification() -> None:
    rows = specs.load().errors
    assert set(rows) == {code.value for code in Code} == {code.value for code in TERMS}
    for code, terms in TERMS.items():
        row = rows[code]
        assert terms.retriable == row.retriable
        assert AUTH_NUMBERS.get(code) == row.number
        if row.http is not None:
            assert terms.status == row.http


@pytest.mark.req("AH-1005", "AH-1005a", "AH-1005b", "AH-1005c")
@pytest.mark.parametrize("kind", sorted(ERROR_KINDS))
@pytest.mark.parametrize("blames_request", [False, True])
@pytest.mark.parametrize("retriable", [None, True, False])
def test_a_worker_error_becomes_the_envelope_of_the_specification(
    *, kind: str, blames_request: bool, retriable: bool | None
) -> None:
    row = specs.load().worker_errors[kind]
    error = ERROR_KINDS[kind]("said so", blames_request=blames_request, retriable=retriable, retry_after_ms=7)
    envelope = envelope_of(error, "scripted", "p")
    wanted = row.code_if_blamed if blames_request and row.code_if_blamed else row.code
    if kind == "Adapter" or not blames_request:
        assert envelope.code == wanted
    assert envelope.message == (INTERNAL_MESSAGE if row.words == "fixed" else "said so")
    assert envelope.data["retriable"] == (row.retriable if retriable is None else retriable)
    assert (envelope.data["engine"], envelope.data["pool_id"]) == ("scripted", "p")
    assert envelope.data["retry_after_ms"] == 7


@pytest.mark.req("AH-1005", "OC-CTRL-2032a")
def test_a_kind_that_nobody_knows_is_internal() -> None:
    class NewError(WorkerError):
        """An adapter's own subclass."""

        kind = "New"

    envelope = envelope_of(NewError("engine words"), "scripted", "p")
    assert envelope.code is Code.INTERNAL
    assert envelope.message == INTERNAL_MESSAGE
    assert envelope_of(WorkerError("engine words"), "scripted", "p").message == INTERNAL_MESSAGE


@pytest.mark.req("OC-CTRL-2030b", "OC-CTRL-2031")
@pytest.mark.parametrize("code", list(Code))
def test_an_envelope_fulfils_its_schema_and_leaves_the_unknown_out(code: Code) -> None:
    data = ErrorEnvelope(code=code, message="words").data
    Draft202012Validator(specs.load().schema("http", "ErrorEnvelope")).validate(data)
    assert None not in data.values()
    assert data["retriable"] == TERMS[code].retriable


def test_a_refusal_carries_its_envelope() -> None:
    refused = Refused(ErrorEnvelope(code=Code.NOT_FOUND, message="no task x"))
    assert str(refused) == "NOT_FOUND: no task x"
    assert refused.envelope.status == 404
