"""What refusals of engines mean."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import (
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    InternalError,
    PoolUnavailable,
    WorkerError,
    WorkerReset,
)
from http_util.status import (
    MAX_RETRY_AFTER_MS,
    MAX_WORDS_CHARS,
    Complaint,
    EngineReply,
    ErrorRule,
    classify,
    error_in,
    retry_after_ms,
)

NOW = 1_750_000_000.0


def reply(status: int, body: object = b"", phase: str = "completion", **headers: str) -> EngineReply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return EngineReply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw, phase)


def meaning(answer: EngineReply, *rules: ErrorRule) -> WorkerError:
    return classify(answer, rules=rules, redact=str, now=NOW)


@pytest.mark.req("HTU-1006")
@pytest.mark.parametrize(
    ("status", "error", "retriable", "blames_request"),
    [
        (400, AdapterError, False, True),
        (401, AdapterError, False, False),
        (403, AdapterError, False, False),
        (404, AdapterError, False, False),
        (405, AdapterError, False, False),
        (408, DeadlineUnmet, True, False),
        (409, InternalError, True, False),
        (413, AdapterError, False, True),
        (415, AdapterError, False, False),
        (422, AdapterError, False, True),
        (424, WorkerReset, True, False),
        (429, PoolUnavailable, True, False),
        (500, InternalError, False, False),
        (501, AdapterError, False, False),
        (502, InternalError, False, False),
        (503, PoolUnavailable, True, False),
        (504, DeadlineUnmet, True, False),
        (529, PoolUnavailable, True, False),
        (302, AdapterError, False, False),
        (204, AdapterError, False, False),
    ],
)
def test_a_status_alone_decides_when_the_body_says_nothing_more(
    status: int, error: type[WorkerError], retriable: bool, blames_request: bool
) -> None:
    found = meaning(reply(status, {"error": {"message": "no"}}))
    assert type(found) is error
    assert (found.retriable, found.blames_request, found.upstream_status) == (retriable, blames_request, status)


@pytest.mark.req("HTU-1006")
@pytest.mark.parametrize("body", [b"", b"<html><title>Bad Gateway</title>", b"upstream connect error"])
def test_a_gateway_page_means_that_the_worker_is_not_reachable(body: bytes) -> None:
    found = meaning(reply(502, body))
    assert type(found) is PoolUnavailable
    assert found.retriable


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        ({"error": {"message": "m", "type": "t", "code": 503}}, Complaint("m", "t", "", 503)),
        ({"error": {"message": "m", "code": "rate_limit_exceeded"}}, Complaint("m", "", "rate_limit_exceeded", 0)),
        ({"error": {"message": "m", "http_status_code": 422}}, Complaint("m", "", "", 422)),
        ({"error": {"message": "m", "code": "429"}}, Complaint("m", "", "429", 429)),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, Complaint("Model is overloaded", "overloaded")),
        ({"object": "error", "message": "m", "type": "t", "code": 400}, Complaint("m", "t", "", 400)),
        ({"detail": "Not Found"}, Complaint("Not Found")),
        ({"detail": [{"msg": "a", "loc": []}, {"msg": "b"}, 7]}, Complaint("a; b; 7")),
        ({"error": {"message": None, "type": 3, "code": True}}, Complaint("", "3")),
        ({"error": None}, None),
        ({"error": ""}, None),
        ({"error": {}}, None),
        ({"error": False, "content": "text"}, None),
        ({"content": "text"}, None),
        (["error"], None),
        ("error", None),
        (None, None),
    ],
)
def test_an_error_is_found_in_every_shape(payload: object, complaint: Complaint | None) -> None:
    assert error_in(payload) == complaint


LLAMACPP = (
    ErrorRule(error=AdapterError, types=frozenset({"exceed_context_size_error"}), blames_request=True),
    ErrorRule(error=WorkerReset, types=frozenset({"server_error"}), in_stream=True),
    ErrorRule(error=AdapterError, words="too large to process", blames_request=True),
)


@pytest.mark.req("HTU-1006", "HTU-1006a")
def test_a_type_weighs_more_than_words_and_words_more_than_a_status() -> None:
    words = ErrorRule(error=PoolUnavailable, words="overloaded")
    kind = ErrorRule(error=WorkerReset, types=frozenset({"generation"}))
    overloaded = {"error": {"message": "Overloaded", "type": "generation"}}
    assert type(meaning(reply(400, overloaded), words, kind)) is WorkerReset
    assert type(meaning(reply(400, overloaded), words)) is PoolUnavailable
    assert type(meaning(reply(400, overloaded))) is AdapterError


@pytest.mark.req("HTU-1006")
def test_the_code_of_an_error_counts_as_its_type() -> None:
    quota = ErrorRule(error=AdapterError, types=frozenset({"insufficient_quota"}), statuses=frozenset({429}))
    found = meaning(reply(429, {"error": {"code": "insufficient_quota", "message": "pay"}}), quota)
    assert type(found) is AdapterError
    assert not found.retriable


@pytest.mark.req("HTU-1006")
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 500, "message": "Compute error.", "type": "server_error"}, WorkerReset),
        ({"code": 503, "message": "Loading model", "type": "unavailable_error"}, PoolUnavailable),
        ({"code": 400, "message": "bad", "type": "invalid_request_error"}, AdapterError),
        ("something broke", WorkerReset),
    ],
)
def test_an_error_inside_a_stream_is_judged_by_its_own_number(error: object, kind: type[WorkerError]) -> None:
    found = meaning(reply(200, {"error": error}))
    assert type(found) is kind
    assert found.upstream_status == 200


@pytest.mark.req("HTU-1006")
def test_rules_can_be_told_apart_by_whether_the_error_is_inside_a_stream() -> None:
    compute = {"error": {"code": 500, "message": "input is too LARGE to process", "type": "server_error"}}
    assert type(meaning(reply(200, compute), *LLAMACPP)) is WorkerReset
    refused = meaning(reply(500, compute), *LLAMACPP)
    assert type(refused) is AdapterError
    assert refused.blames_request


@pytest.mark.req("HTU-1006")
def test_a_good_status_without_an_error_in_it_is_not_the_protocol() -> None:
    for body in (b"", b"<html>", b'{"content": "x"}', b"not json", b'{"a":' * 100_000, b"\xff\xfe"):
        found = meaning(reply(200, body))
        assert type(found) is AdapterError
        assert not found.retriable


@pytest.mark.req("HTU-1006", "HTU-1004")
def test_the_message_names_the_phase_and_the_status_and_quotes_the_engine_redacted() -> None:
    body = {"error": {"message": "bad\r\nkey \x1b[31mhunter2\u2028 given", "code": 401}}
    found = classify(reply(401, body, "health"), redact=lambda text: text.replace("hunter2", "***"), now=NOW)
    assert str(found) == "health: HTTP 401: bad key [31m*** given"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty body"),
        (b"  \n", "empty body"),
        (b"<!doctype html><html>...", "an HTML page instead of an answer"),
        (b"plain words", "plain words"),
        (b'{"error":{"type":"server_error"}}', "no reason given"),
        (b"\xff\xfe\x00", "\ufffd\ufffd"),
    ],
)
def test_a_body_that_is_no_json_still_gives_a_readable_message(body: bytes, words: str) -> None:
    assert meaning(reply(500, body)).message == f"completion: HTTP 500: {words}"


@pytest.mark.req("HTU-1006")
@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'in model: Traceback (most recent call last):\n  File "/m.py", line 3\n    g()\nValueError: too long\n',
            "in model: ValueError: too long",
        ),
        ("Traceback (most recent call last):\n  File x\n", "no reason given"),
        ("message: TypeError: no way\n\nAt:\n  /opt/model.py(12): execute\n", "message: TypeError: no way"),
        ("first line\nsecond line", "first line second line"),
    ],
)
def test_a_traceback_is_reduced_to_its_exception(message: str, words: str) -> None:
    found = meaning(reply(500, {"error": message}))
    assert found.message == f"completion: HTTP 500: {words}"


@pytest.mark.req("HTU-1004")
def test_a_secret_at_the_cut_is_redacted_before_the_message_is_shortened() -> None:
    secret = "s3cr3t-value"
    body = ("x" * (MAX_WORDS_CHARS - 5) + secret + "y" * 500).encode()
    found = classify(reply(500, body), redact=lambda text: text.replace(secret, "[redacted]"), now=NOW)
    assert "s3c" not in found.message
    assert found.message.endswith("…")
    assert len(found.message) <= len("completion: HTTP 500: ") + MAX_WORDS_CHARS


@pytest.mark.req("HTU-1002", "AH-1005")
@pytest.mark.parametrize(
    ("headers", "wait_ms"),
    [
        ({"retry-after-ms": "1500.9", "retry-after": "7"}, 1500),
        ({"retry-after": "7"}, 7000),
        ({"retry-after": "0.25"}, 250),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30_000),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after-ms": "-1", "retry-after": "7"}, 7000),
        ({"retry-after": "86400"}, MAX_RETRY_AFTER_MS),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after-ms": "soon", "retry-after": "2"}, 2000),
        ({"retry-after": "Wed, 99 Foo 99999 99:99:99 GMT"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_advice_on_when_to_come_back(headers: dict[str, str], wait_ms: int | None) -> None:
    assert retry_after_ms(headers, NOW) == wait_ms


@pytest.mark.req("AH-1005")
def test_advice_is_kept_only_where_a_retry_makes_sense() -> None:
    assert meaning(reply(503, b"", retry_after="3")).retry_after_ms == 3000
    assert meaning(reply(400, b"", retry_after="3")).retry_after_ms is None


@pytest.mark.req("HTU-1006")
def test_a_server_that_forbids_retries_is_believed() -> None:
    found = meaning(reply(503, b"", retry_after="3", x_should_retry="False"))
    assert type(found) is PoolUnavailable
    assert (found.retriable, found.retry_after_ms) == (False, None)


@pytest.mark.req("HTU-1006", "ADAPT-3002")
@given(status=st.integers(100, 999), body=st.binary(max_size=200), advice=st.text(max_size=30))
def test_any_answer_means_some_worker_error(status: int, body: bytes, advice: str) -> None:
    found = meaning(reply(status, body, retry_after=advice), *LLAMACPP)
    assert isinstance(found, WorkerError)
    assert not isinstance(found, DecodeTimeout)
    assert found.message.startswith(f"completion: HTTP {status}: ")
    assert found.retry_after_ms is None or 0 <= found.retry_after_ms <= MAX_RETRY_AFTER_MS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "detail", "message", "code", "type", "object", "msg"]), inner)
    ),
    max_leaves=8,
)


@pytest.mark.req("HTU-1006")
@given(payload=JSON)
def test_any_json_is_looked_through_without_an_exception(payload: object) -> None:
    complaint = error_in(payload)
    assert complaint is None or isinstance(complaint.message, str)
