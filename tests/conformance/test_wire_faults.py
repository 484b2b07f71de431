from __future__ import annotations

import pytest

import specs
from conformance.engines.script import Answer, Malformed
from conformance.wire_faults import ANY, TRANSPORT, fault_of, wire_faults
from specs import ErrorPhase

SPEC = specs.load()


def test_every_fault_of_the_connection_in_the_documents_can_be_played() -> None:
    rows = (row for engine in (ANY, *SPEC.engines) for row in SPEC.engine_errors(engine))
    named = {row.fault for row in rows if row.phase is ErrorPhase.TRANSPORT}
    assert named == TRANSPORT.keys()


@pytest.mark.req("OC-ADAPT-5001g")
def test_every_row_of_the_engine_and_of_all_engines_is_a_case() -> None:
    rows = [*SPEC.engine_errors("llamacpp"), *SPEC.engine_errors(ANY)]
    assert [fault.id for fault in wire_faults(SPEC, "llamacpp")] == [row.id for row in rows]


def test_an_answer_is_played_byte_for_byte_and_its_words_have_to_come_back() -> None:
    row = next(row for row in SPEC.engine_errors("llamacpp") if row.id == "context-too-long")
    fault = fault_of(row)
    assert fault.script.steps == (Answer(400, row.body.encode(), "application/json"),)
    assert fault.status == 400
    assert fault.mentions == ("request (6002 tokens) exceeds the availa",)
    assert fault.blames_request


def test_an_error_in_the_stream_keeps_its_field() -> None:
    row = next(row for row in SPEC.engine_errors("llamacpp") if row.sse_field == "error")
    raw = next(step.raw for step in fault_of(row).script.steps if isinstance(step, Malformed))
    assert raw == f"error: {row.body}\n\n".encode()
