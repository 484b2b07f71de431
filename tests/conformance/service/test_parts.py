"""The kit's own reader of streams, its judges, and that it is independent of what it judges."""

from __future__ import annotations

import ast
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import conformance.service
import specs
from conformance.check import Level
from conformance.service.catalogue import SERVICE_CHECKS
from conformance.service.client import Reply
from conformance.service.judges import ReplyJudge, StreamJudge
from conformance.service.sse import SseReader

SPEC = specs.load()
STREAM = (
    b'id: 1\nevent: started\ndata: {"queue_position":0,"predicted_start_ms":0}\n\n: keep-alive\n\n'
    b'id: 2\nevent: token\ndata: {"t":"\xc3\xa4","i":0}\n\n'
    b'id: 3\nevent: end\ndata: {"tokens_out":1,"decode_time_ms":1,"decode_ms":1}\n\n'
)


def judged(data: bytes, after: int = 0) -> set[str]:
    reader, judge = SseReader(), StreamJudge(SPEC, after)
    found = [finding for frame in reader.feed(data, 0.0) for finding in judge.accept(frame)]
    return {finding.check_id for finding in [*found, *judge.at_end(reader.rest)]}


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_a_stream_is_the_same_however_it_is_cut(cuts: list[int]) -> None:
    reader = SseReader()
    edges = [0, *sorted(cuts), len(STREAM)]
    frames = [frame for one, two in pairwise(edges) for frame in reader.feed(STREAM[one:two], 0.0)]
    assert [(frame.number, frame.event, frame.faults) for frame in frames] == [
        (1, "started", ()), (2, "token", ()), (3, "end", ()),
    ]  # fmt: skip
    assert frames[1].data == {"t": "ä", "i": 0}
    assert reader.comments == ["keep-alive"]
    assert not reader.rest


@given(st.binary())
def test_any_bytes_are_read(data: bytes) -> None:
    assert judged(data) <= SERVICE_CHECKS.keys()


@pytest.mark.parametrize(
    ("old", "new", "owner"),
    [
        (b"id: 2\n", b"", "S-STR-03"),
        (b"id: 2\n", b"id: 3\n", "S-STR-03"),
        (b'"i":0', b'"i":1', "S-STR-04"),
        (b'"t":"\xc3\xa4"', b'"t":""', "S-STR-02"),
        (b"event: token", b"event: delta", "S-STR-01"),
        (b"event: started", b"event: metrics", "S-STR-01"),
        (b"event: end", b"event: metrics", "S-STR-05"),
        (b"data: {", b"retry: 1\ndata: {", "S-STR-02"),
        (b'"decode_ms":1}\n\n', b'"decode_ms":1}\n', "S-STR-05"),
        (b'"tokens_out":1,', b'"tokens_out":1.0,', "S-STR-02"),
    ],
)
def test_a_stream_with_one_thing_wrong(old: bytes, new: bytes, owner: str) -> None:
    assert not judged(STREAM)
    assert owner in judged(STREAM.replace(old, new))


def test_ids_that_a_cancel_dropped_may_be_missing() -> None:
    end = b'id: 9\nevent: end\ndata: {"tokens_out":7,"decode_time_ms":1,"decode_ms":1,"canceled":true}\n\n'
    started = STREAM[: STREAM.index(b": keep")]
    assert not judged(started + end)
    assert judged(started + end.replace(b',"canceled":true', b"")) == {"S-STR-03"}


def test_a_stream_that_goes_on_begins_in_the_middle() -> None:
    rest = STREAM[STREAM.index(b"id: 2") :]
    assert not judged(rest, after=1)
    assert judged(rest, after=2) == {"S-STR-03"}


@pytest.mark.parametrize(
    ("status", "body", "owners"),
    [
        (400, b'{"code":"INVALID_PARAMS","message":"m","retriable":false}', set()),
        (400, b'{"code":"INVALID_PARAMS","message":"m"}', {"S-ERR-04"}),
        (400, b'{"code":"INVALID_PARAMS","message":"m","retriable":true}', {"S-ERR-04"}),
        (413, b'{"code":"INVALID_PARAMS","message":"m","retriable":false}', set()),
        (500, b'{"code":"INVALID_PARAMS","message":"m","retriable":false}', {"S-ERR-02"}),
        (400, b'{"code":"NO_SUCH_CODE","message":"m"}', {"S-ERR-01"}),
        (400, b'{"code":"INVALID_PARAMS","retriable":false}', {"S-ERR-01"}),
        (400, b"no", {"S-ERR-01"}),
        (429, b'{"code":"ADMISSION_REJECT","message":"m","retriable":true}', {"S-ERR-03"}),
    ],
)
def test_an_error_is_held_to_the_table(status: int, body: bytes, owners: set[str]) -> None:
    reply = Reply(status, (("x-correlation-id", "a"),), body)
    assert {finding.check_id for finding in ReplyJudge(SPEC).judge(reply, "a")} == owners
    assert "S-HTTP-01" in {finding.check_id for finding in ReplyJudge(SPEC).judge(reply, "b")}
    assert "S-HTTP-01" in {finding.check_id for finding in ReplyJudge(SPEC).judge(reply, None)}


def test_a_check_is_no_stricter_than_its_requirements() -> None:
    for check in SERVICE_CHECKS.values():
        levels = {SPEC.requirement(each).level.partition(" ")[0] for each in check.requirements}
        assert levels == {"MUST" if check.level is Level.MUST else "SHOULD"}, check.id


def test_it_shares_no_code_with_what_it_judges() -> None:
    for path in Path(conformance.service.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            assert not {name.partition(".")[0] for name in names} & {"orchestratord", "http_util", "adapters"}, path


def test_every_check_says_what_usually_breaks_it() -> None:
    assert not [check.id for check in SERVICE_CHECKS.values() if not check.causes]
