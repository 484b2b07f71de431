"""`http_util` says what `specs/http-util.md`, `specs/redaction.md` and the tables of engines' failures say."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING

import pytest

import specs
from http_util.backoff import RetryPolicy
from http_util.client import ClientSettings
from http_util.live import CLOSE_S
from http_util.redaction import RULES, Redactor
from http_util.redaction_rules import BY_SHAPE
from http_util.sse import Decoder
from http_util.status import MAX_RETRY_AFTER_MS, MAX_WORDS_CHARS, EngineReply, classify
from http_util.stream import StreamBounds
from specs import EngineError, ErrorPhase, RedactionRow, StatusRow

if TYPE_CHECKING:
    from adapter_api import WorkerError

SPEC = specs.load()
REDACT = Redactor(key=b"fixed for the tests")


def bounds(prefix: str) -> dict[str, int | float]:
    return {name.removeprefix(prefix): bound.value for name, bound in SPEC.bounds.items() if name.startswith(prefix)}


@pytest.mark.req("HTU-1002", "HTU-1002a")
def test_retries_have_the_document_s_figures() -> None:
    policy = RetryPolicy()
    assert bounds("retry.") == {
        "base_s": policy.base_s,
        "multiplier": policy.multiplier,
        "cap_s": policy.cap_s,
        "attempts": policy.attempts,
    }


@pytest.mark.req("HTU-1001", "HTU-1005", "HTU-1003c", "HTU-1006b", "HTU-1002d", "ADAPT-3101d")
def test_the_other_figures_are_the_document_s() -> None:
    client, stream = ClientSettings(base_url="http://x"), StreamBounds()
    assert bounds("client.") == {"connect_s": client.connect_s, "request_s": client.request_s}
    assert bounds("stream_bounds.") == {
        "connect_s": stream.connect_s,
        "first_token_s": stream.first_token_s,
        "idle_s": stream.idle_s,
    }
    default = inspect.signature(Decoder).parameters["max_event_bytes"].default
    assert bounds("decoder.") == {"max_event_bytes": default}
    assert bounds("error.") == {"words_chars": MAX_WORDS_CHARS}
    assert bounds("retry_after.") == {"max_ms": MAX_RETRY_AFTER_MS}
    assert bounds("cancel.") == {"close_s": CLOSE_S}


def meaning(status: int, body: bytes) -> WorkerError:
    return classify(EngineReply(status, {}, body, "completion"), redact=REDACT, now=0.0)


def row_for(status: int, *, where: str, is_opaque: bool) -> StatusRow:
    return next(
        row
        for row in SPEC.status_rules
        if row.covers(status) and row.where in {"any", where} and (row.body == "any" or is_opaque)
    )


def agree(error: WorkerError, row: StatusRow) -> bool:
    return (error.kind, error.retriable, error.blames_request) == (row.kind, row.retriable, row.blames_request)


@pytest.mark.req("HTU-1006", "HTU-1006c", "HTU-1006e")
@pytest.mark.parametrize("status", range(300, 600))
def test_a_status_means_what_the_table_says(status: int) -> None:
    said = json.dumps({"error": {"message": "m"}}).encode()
    assert agree(meaning(status, said), row_for(status, where="response", is_opaque=False))
    assert agree(meaning(status, b"<html>"), row_for(status, where="response", is_opaque=True))
    in_stream = json.dumps({"error": {"message": "m", "code": status}}).encode()
    assert agree(meaning(200, in_stream), row_for(status, where="stream", is_opaque=False))


@pytest.mark.req("HTU-1006d")
def test_an_error_without_a_number_counts_as_500_in_a_stream() -> None:
    assert agree(meaning(200, b'{"error":"m"}'), row_for(500, where="stream", is_opaque=False))


@pytest.mark.req("HTU-1006")
@pytest.mark.parametrize("row", SPEC.engine_errors("any"), ids=lambda row: row.id)
def test_answers_that_every_engine_may_give_mean_what_the_table_says(row: EngineError) -> None:
    if row.phase is ErrorPhase.RESPONSE:
        error = meaning(row.status, row.body.encode())
        assert (error.kind, error.retriable, error.blames_request) == (row.kind, row.retriable, row.blames_request)


@pytest.mark.req("HTU-1004c")
def test_the_patterns_are_the_document_s_in_their_order() -> None:
    assert [(rule.kind, rule.pattern) for rule in RULES] == [(row.kind, row.pattern) for row in SPEC.redaction_rules]
    assert {rule.kind for rule in BY_SHAPE} == {row.kind for row in SPEC.redaction_rules if row.is_anywhere}


def texts(row: RedactionRow, sample: str) -> list[str]:
    contexts = SPEC.redaction_contexts if row.is_anywhere else ("%s",)
    return [context.replace("%s", sample) for context in contexts]


@pytest.mark.req("HTU-1004", "HTU-1004c")
@pytest.mark.parametrize("row", SPEC.redaction_rules, ids=lambda row: row.kind)
def test_nothing_of_a_sample_s_secret_is_left_in_any_context(row: RedactionRow) -> None:
    for sample in row.hides:
        for text in texts(row, sample.text):
            masked = REDACT.text(text)
            assert f"[redacted:{row.kind}:" in masked
            assert not [secret for secret in sample.secrets if secret in masked]
            assert REDACT.text(masked) == masked


@pytest.mark.req("HTU-1004d")
@pytest.mark.parametrize("row", SPEC.redaction_rules, ids=lambda row: row.kind)
def test_near_misses_pass_in_every_context(row: RedactionRow) -> None:
    for text in row.passes:
        for placed in texts(row, text):
            assert REDACT.text(placed) == placed


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("row", SPEC.redaction_rules, ids=lambda row: row.kind)
def test_a_sample_is_found_by_its_own_rule_and_by_a_hint(row: RedactionRow) -> None:
    rule = next(rule for rule in RULES if rule.kind == row.kind)
    for sample in row.hides:
        found = rule.regex.search(sample.text)
        assert found is not None
        assert any(hint in sample.text or hint in sample.text.lower() for hint in rule.hints)
