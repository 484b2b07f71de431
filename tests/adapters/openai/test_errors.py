"""Every way in which servers of the OpenAI kind, or the way to them, fail, and the one error that comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

import specs
from adapter_api import Token, Workload
from conformance.engines.host import Link
from conformance.engines.openai import OpenAiSettings, Quirks
from conformance.engines.script import Answer, Cut, Fail, Overload, Pause, Reset, Script, Stall, Step, Text
from conformance.wire_faults import fault_of
from tests.adapters.rig import SECRET, SERVICE_SECRET, read, request

from .rig import open_rig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.testing import MockClock

    from specs import EngineError

pytestmark = pytest.mark.req("ADAPT-3002", "HTU-1006", "AH-1005", "OC-ADAPT-OAI-6008")

SPEC = specs.load()
KEPT_S = 6.0
"""Longer than an idle connection is kept."""
BOUNDS = {"first_token_ms": 3000, "idle_ms": 1250}
ROWS = [
    *((row, "completions") for row in (*SPEC.engine_errors("openai"), *SPEC.engine_errors("any"))),
    *((row, "chat") for row in SPEC.engine_errors("openai")),
    *((row, "responses") for row in (*SPEC.engine_errors("openai-responses"), *SPEC.engine_errors("any"))),
    *((row, "responses") for row in SPEC.engine_errors("openai") if row.phase == "response"),
]


@pytest.mark.req("OC-ADAPT-OAI-6005", "OC-ADAPT-OAI-6007", "OC-ADAPT-OAI-6022")
@pytest.mark.parametrize(("row", "api"), ROWS, ids=[f"{api}-{row.id}" for row, api in ROWS])
async def test_each_row_has_its_error(row: EngineError, api: str, autojump_clock: MockClock) -> None:
    fault = fault_of(row)
    async with open_rig(fault.script, timeouts=BOUNDS, api=api) as rig:
        await rig.adapter.health()
        if fault.is_down:
            rig.double.stop()
        outcome = await read(rig.adapter, request(deadline_ms=fault.deadline_ms))
        await trio.sleep(KEPT_S)
        assert (rig.double.facts.live, rig.double.facts.connections) == (0, 0)
    error = outcome.error
    assert error is not None
    assert (error.kind, error.retriable, error.blames_request) == (row.kind, row.retriable, row.blames_request)
    assert error.message.startswith("completion: ")
    assert all(words in error.message for words in fault.mentions), error.message
    if fault.status is not None:
        assert error.upstream_status == fault.status
        assert f"HTTP {fault.status}" in error.message
    assert "end" not in outcome.kinds


LIMIT = b'{"error":{"message":"slow","type":"requests","param":null,"code":"rate_limit_exceeded"}}'
QUOTA = LIMIT.replace(b"rate_limit_exceeded", b"insufficient_quota")


@pytest.mark.req("OC-ADAPT-OAI-6021", "HTU-1002")
@pytest.mark.parametrize(
    ("headers", "body", "after_ms"),
    [
        ({"retry-after": "2"}, LIMIT, 2000),
        ({"retry-after": "0.5"}, LIMIT, 500),
        ({"retry-after-ms": "1250.5", "retry-after": "2"}, LIMIT, 1250),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, LIMIT, 0),
        ({"retry-after": "9999"}, LIMIT, 120_000),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5s"}, LIMIT, 1500),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, LIMIT, 120_000),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, LIMIT, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "-1"}, LIMIT, None),
        ({}, LIMIT, None),
        ({"retry-after": "2"}, QUOTA, None),
        ({"retry-after": "2", "x-should-retry": "false"}, LIMIT, None),
    ],
)
async def test_advice_to_come_back_is_told(headers: Mapping[str, str], body: bytes, after_ms: int | None) -> None:
    refusal = Answer(429, body, "application/json", tuple(headers.items()))
    async with open_rig(Script.of(refusal)) as rig:
        error = (await read(rig.adapter, request())).error
    assert error is not None
    assert error.retry_after_ms == after_ms


@pytest.mark.req("OC-ADAPT-OAI-6021")
@pytest.mark.parametrize("form", ["seconds", "ms", "date", "none"])
async def test_the_services_own_refusal_is_understood_in_every_form(form: str) -> None:
    engine = OpenAiSettings(requests_per_minute=1, retry_after=form)  # type: ignore[arg-type]  # one of the four
    async with open_rig(Script.of(Text("a")), engine=engine) as rig:
        assert (await read(rig.adapter, request())).error is None
        error = (await read(rig.adapter, request())).error
    assert error is not None
    assert (error.kind, error.retriable, error.upstream_status) == ("PoolUnavailable", True, 429)
    assert error.retry_after_ms is not None
    assert 0 <= error.retry_after_ms <= 60_000


@pytest.mark.parametrize("error", ["string", "detail", "number", "html", "empty"])
@pytest.mark.parametrize(
    ("status", "kind", "retriable"),
    [(400, "Adapter", False), (429, "PoolUnavailable", True), (503, "PoolUnavailable", True), (500, "Internal", True)],
)
async def test_a_clones_error_counts_by_its_status(error: str, status: int, kind: str, retriable: bool) -> None:
    engine = OpenAiSettings(quirks=Quirks(error=error))  # type: ignore[arg-type]  # one of the five
    async with open_rig(Script.of(Fail(status, "odd", "no luck")), engine=engine) as rig:
        found = (await read(rig.adapter, request())).error
    assert found is not None
    assert (found.kind, found.retriable, found.upstream_status) == (kind, retriable, status)


@pytest.mark.req("OC-ADAPT-OAI-6005")
@pytest.mark.parametrize("quirks", [Quirks(), Quirks(done_after_error=True), Quirks(error_event=True)])
@pytest.mark.parametrize("api", ["completions", "chat", "responses"])
async def test_a_failure_in_the_stream_is_one_in_every_form(api: str, quirks: Quirks) -> None:
    script = Script.of(Text("a"), Fail(429, "rate_limit_exceeded", "Rate limit reached", in_stream=True))
    async with open_rig(script, engine=OpenAiSettings(quirks=quirks), api=api) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.text) == ("PoolUnavailable", "a")
    assert "Rate limit reached" in outcome.error.message


@pytest.mark.req("OC-ADAPT-OAI-6007")
@pytest.mark.parametrize("event", ["response.failed", "error"])
async def test_a_response_fails_by_either_event(event: str) -> None:
    script = Script.of(Text("a"), Fail(500, "server_error", "The model failed", in_stream=True))
    engine = OpenAiSettings(quirks=Quirks(failed_event=event))  # type: ignore[arg-type]  # one of the two
    async with open_rig(script, engine=engine, api="responses") as rig:
        error = (await read(rig.adapter, request())).error
    assert error is not None
    assert (error.kind, error.retriable) == ("Internal", True)


@pytest.mark.parametrize("api", ["completions", "chat", "responses"])
@pytest.mark.parametrize(
    ("steps", "kind", "tokens"),
    [
        ((Overload(),), "PoolUnavailable", 0),
        ((Text("a"), Pause(1), Reset()), "WorkerReset", 1),
        ((Text("a"), Cut(clean=False)), "WorkerReset", 1),
        ((Text("a"), Cut(clean=True)), "WorkerReset", 1),
    ],
)
async def test_the_ways_to_break_off(
    api: str, steps: tuple[Step, ...], kind: str, tokens: int, autojump_clock: MockClock
) -> None:
    async with open_rig(Script(steps), api=api) as rig:
        outcome = await read(rig.adapter, request())
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.retriable) == (kind, True)
    assert sum(isinstance(event, Token) for event in outcome.events) == tokens


@pytest.mark.parametrize("bound", ["deadline", "total"])
async def test_the_whole_is_bounded_by_deadline_and_setting(bound: str, autojump_clock: MockClock) -> None:
    timeouts = {"total_ms": 2125} if bound == "total" else {}
    async with open_rig(Script((Text("a"), Pause(1)) * 9), timeouts=timeouts) as rig:
        outcome = await read(rig.adapter, request(deadline_ms=2125 if bound == "deadline" else None))
        assert trio.current_time() == 2.125
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.retriable) == ("DeadlineUnmet", False)


async def test_a_deadline_counts_the_look_up_of_the_model(autojump_clock: MockClock) -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Stall()), path="/v1/models")
        error = (await read(rig.adapter, request(deadline_ms=500))).error
        assert trio.current_time() == 0.5
    assert error is not None
    assert error.kind == "DeadlineUnmet"


async def test_an_embedding_fails_like_everything_else() -> None:
    async with open_rig() as rig:
        rig.double.load(Script.of(Fail(503, "server_is_overloaded", f"busy {SECRET}")), path="/v1/embeddings")
        error = (await read(rig.adapter, request("", workload=Workload.EMBEDDING, inputs=("a",)))).error
    assert error is not None
    assert (error.kind, error.message.startswith("embedding: HTTP 503: ")) == ("PoolUnavailable", True)
    assert SECRET not in error.message


@pytest.mark.req("OC-ADAPT-OAI-6020", "HTU-1004")
@pytest.mark.parametrize("in_stream", [False, True])
@pytest.mark.parametrize("api", ["completions", "responses"])
async def test_secrets_of_the_service_and_of_the_adapter_are_masked(api: str, in_stream: bool) -> None:
    key = "plain-looking-key-of-the-engine"
    words = f"your key {key} is odd, {SERVICE_SECRET}"
    fail = Fail(500, "server_error", words, in_stream=in_stream)
    async with open_rig(Script((Text("a"), fail) if in_stream else (fail,)), api_key=key, api=api) as rig:
        error = (await read(rig.adapter, request())).error
        assert key not in repr(rig.adapter)
    assert error is not None
    assert key not in repr(error)
    assert SERVICE_SECRET not in repr(error)


async def test_a_wrong_key_is_told_apart() -> None:
    engine = OpenAiSettings(api_key="right-key-0123")
    async with open_rig(engine=engine, api_key="wrong-key-0123", model="tiny") as rig:
        error = (await read(rig.adapter, request())).error
        health = await rig.adapter.health()
        assert (health.live, health.ready) == (True, False)
    assert error is not None
    assert (error.kind, error.upstream_status, error.blames_request) == ("Adapter", 401, False)
    async with open_rig(engine=engine, api_key="right-key-0123") as rig:
        assert (await read(rig.adapter, request(max_tokens=2))).kinds[-1] == "end"


@pytest.mark.req("HTU-1005")
async def test_connecting_is_bounded(autojump_clock: MockClock) -> None:
    async with open_rig(link=Link(connect_s=3600), model="m", timeouts={"connect_ms": 700}) as rig:
        error = (await read(rig.adapter, request())).error
        assert trio.current_time() == pytest.approx(0.7)
    assert error is not None
    assert (error.kind, error.retriable) == ("PoolUnavailable", True)
