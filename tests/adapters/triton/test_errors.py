"""Every row of the specification's table of Triton's failures, and what the table cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import specs
from adapter_api import AdapterError, DeadlineUnmet, InternalError, PoolUnavailable, Token, WorkerError, WorkerReset
from adapters.triton.errors import RULES, refusal
from conformance.engines.script import Answer, Fail, Pause, Script, Stall, Text
from conformance.engines.triton import TritonSettings
from conformance.wire_faults import fault_of
from http_util.status import EngineReply, classify
from tests.adapters.rig import SECRET, SERVICE_SECRET, Outcome, read, request
from tests.adapters.triton.rig import open_triton_rig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.testing import MockClock

    from specs import EngineError

pytestmark = pytest.mark.req("ADAPT-3002", "HTU-1006", "AH-1005", "OC-ADAPT-5060k")

STREAMED = pytest.mark.parametrize("transport", ["generate", "grpc"])


def rows(engine: str) -> Sequence[EngineError]:
    return specs.load().engine_errors(engine)


async def outcome_of(row: EngineError, dialect: str) -> Outcome:
    async with open_triton_rig(fault_of(row).script, engine=TritonSettings(dialect=dialect)) as rig:
        return await read(rig.adapter, request())


@pytest.mark.parametrize("row", rows("triton"), ids=lambda row: row.id)
async def test_a_row_of_the_table(autojump_clock: MockClock, row: EngineError) -> None:
    outcome = await outcome_of(row, "classic")
    assert outcome.error is not None
    found = (outcome.error.kind, outcome.error.retriable, outcome.error.blames_request)
    assert found == (row.kind, row.retriable, row.blames_request)
    assert outcome.error.message.startswith("completion: ")


@pytest.mark.req("OC-ADAPT-5060d", "OC-ADAPT-5060e")
@pytest.mark.parametrize("row", rows("triton-llmapi"), ids=lambda row: row.id)
async def test_a_row_of_a_model_that_tells_its_reason(autojump_clock: MockClock, row: EngineError) -> None:
    outcome = await outcome_of(row, "llmapi")
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.retriable) == (row.kind, row.retriable)


@STREAMED
async def test_a_full_queue_refuses_and_is_said_so(autojump_clock: MockClock, transport: str) -> None:
    engine = TritonSettings(slots=1, token_s=1.0, max_queue_size=1)
    outcomes = [Outcome() for _ in range(4)]
    async with open_triton_rig(engine=engine, transport=transport) as rig, trio.open_nursery() as nursery:
        for outcome in outcomes:
            nursery.start_soon(read, rig.adapter, request(max_tokens=2), outcome)
            await trio.sleep(0.1)
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert [type(error) for error in errors] == [PoolUnavailable, PoolUnavailable]
    assert all("Exceeds maximum queue size" in str(error) for error in errors)


@STREAMED
async def test_a_queue_with_a_time_limit(autojump_clock: MockClock, transport: str) -> None:
    engine = TritonSettings(slots=1, token_s=1.0, queue_timeout_s=0.5)
    outcomes = [Outcome(), Outcome()]
    async with open_triton_rig(engine=engine, transport=transport) as rig, trio.open_nursery() as nursery:
        for outcome in outcomes:
            nursery.start_soon(read, rig.adapter, request(max_tokens=2), outcome)
    (error,) = [outcome.error for outcome in outcomes if outcome.error is not None]
    assert isinstance(error, DeadlineUnmet)
    assert error.retriable


@STREAMED
async def test_a_server_that_is_stopping(autojump_clock: MockClock, transport: str) -> None:
    async with open_triton_rig(transport=transport) as rig:
        await read(rig.adapter, request())
        rig.double.begin_exit()
        outcome = await read(rig.adapter, request())
    assert isinstance(outcome.error, PoolUnavailable)


@STREAMED
async def test_silence_before_the_first_response(autojump_clock: MockClock, transport: str) -> None:
    bounds = {"timeouts": {"first_token_ms": 3000}}
    async with open_triton_rig(Script.of(Stall()), transport=transport, settings=bounds) as rig:
        outcome = await read(rig.adapter, request())
    assert isinstance(outcome.error, DeadlineUnmet)
    assert "no answer within 3 s" in outcome.error.message


@STREAMED
async def test_the_requests_own_deadline(autojump_clock: MockClock, transport: str) -> None:
    script = Script.of(*(step for _ in range(50) for step in (Text(" on"), Pause(0.1))))
    async with open_triton_rig(script, transport=transport) as rig:
        outcome = await read(rig.adapter, request(deadline_ms=1050))
    assert isinstance(outcome.error, DeadlineUnmet)
    assert not outcome.error.retriable
    assert sum(isinstance(event, Token) for event in outcome.events) == 11


@STREAMED
async def test_secrets_in_the_engines_words_are_masked(autojump_clock: MockClock, transport: str) -> None:
    script = Script.of(Text("one"), Fail(500, "", f"key {SECRET} is bad", in_stream=True))
    async with open_triton_rig(script, transport=transport, api_key=SECRET) as rig:
        outcome = await read(rig.adapter, request())
    assert isinstance(outcome.error, WorkerReset)
    assert SECRET not in outcome.error.message
    assert "is bad" in outcome.error.message
    assert SERVICE_SECRET not in outcome.error.message


@pytest.mark.parametrize(
    ("content_type", "words", "kind"),
    [
        ("text/event-stream; charset=utf-8", "something odd", InternalError),
        ("text/event-stream; charset=utf-8", "max_tokens must be a single value > 0", AdapterError),
        ("text/event-stream; charset=utf-8", "Exceeds maximum queue size", PoolUnavailable),
        ("application/json", "something odd", AdapterError),
    ],
)
def test_a_bad_request_that_is_an_event_is_the_models_own_answer(
    content_type: str, words: str, kind: type[WorkerError]
) -> None:
    def failure(reply: EngineReply) -> WorkerError:
        return classify(reply, rules=RULES, redact=str, now=0)

    body = f'{{"error":"{words}"}}'.encode()
    error = refusal(EngineReply(400, {"content-type": content_type}, body, "completion"), failure)
    assert type(error) is kind
    assert (error.message, error.upstream_status) == (f"completion: HTTP 400: {words}", 400)


async def test_a_page_instead_of_metadata_is_no_engine(autojump_clock: MockClock) -> None:
    async with open_triton_rig() as rig:
        rig.double.load(Script.of(Answer(200, b"<html>", "text/html")), path="/v2/models/ensemble")
        outcome = await read(rig.adapter, request())
    assert isinstance(outcome.error, AdapterError)
    assert "not the engine's protocol" in outcome.error.message
