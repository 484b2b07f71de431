"""What a TGI server's own reports mean."""

from __future__ import annotations

import json

import msgspec
import pytest

from adapters.tgi import reports

pytestmark = pytest.mark.req("OC-ADAPT-5050", "OC-ADAPT-5050a")

REVISION = "e985a63cdc139290c5f700ff1929f0b5942cced2"
INFO = {
    "model_id": "org/model-7b",
    "model_sha": REVISION,
    "max_concurrent_requests": 128,
    "max_input_tokens": 1024,
    "max_total_tokens": 2048,
    "version": "3.3.6",
    "sha": "0a1b2c3",
}


def facts(**changes: object) -> reports.EngineFacts:
    return reports.engine_facts(json.dumps({**INFO, **changes}).encode())


def test_info_names_version_commit_model_and_limits() -> None:
    assert facts() == reports.EngineFacts(
        version="3.3.6+0a1b2c3", model="org/model-7b", revision=REVISION, permits=128, ctx_max=2048
    )


def test_what_is_missing_is_unknown() -> None:
    told = reports.engine_facts(b'{"model_id":"m","extra":[1]}')
    assert told == reports.EngineFacts(version=None, model="m", revision=None, permits=None, ctx_max=None)
    assert facts(sha=None).version == "3.3.6"
    assert facts(version=None).version is None
    assert facts(max_concurrent_requests=0).permits is None


@pytest.mark.parametrize("path", ["/data/models/secret-project/model-7b", "./up/model-7b/", "../model-7b"])
def test_a_folders_parents_are_kept_to_ourselves(path: str) -> None:
    assert facts(model_id=path).model == "model-7b"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"version":"3"}', b'{"model_id":5}'])
def test_what_is_no_info_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        reports.engine_facts(body)


@pytest.mark.req("OC-ADAPT-5050b")
def test_gauges_tell_who_waits_and_who_works() -> None:
    told = reports.gauges(b"# TYPE tgi_queue_size gauge\ntgi_queue_size 3\ntgi_batch_current_size 4\n")
    assert told == reports.Gauges(queued=3, running=4)


@pytest.mark.req("OC-ADAPT-5050b")
def test_a_gauge_that_was_never_set_is_0() -> None:
    assert reports.gauges(b"") == reports.Gauges(queued=0, running=0)
    assert reports.gauges(b"tgi_request_count 1\ntgi_queue_size 3\n") == reports.Gauges(queued=3, running=0)
