"""Nothing in a table is left without something that it is compared with: a new row here asks for a new line there."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import specs
from conformance.subjects import SUBJECTS
from http_util.backoff import RetryPolicy
from http_util.client import ClientSettings
from http_util.live import CLOSE_S
from http_util.sse import Decoder
from http_util.status import MAX_RETRY_AFTER_MS, MAX_WORDS_CHARS
from http_util.stream import StreamBounds
from orchestratord.telemetry.logs import HUMAN_CHARACTERS
from orchestratord.web.app import CORRELATION
from tests.support.service import open_service

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trio.testing import MockClock

ROOT = Path(__file__).parents[2]
SPEC = specs.load()
POLICY, CLIENT, STREAM = RetryPolicy(), ClientSettings(base_url="http://x"), StreamBounds()
FIXED: Mapping[str, float] = {
    "client.connect_s": CLIENT.connect_s,
    "client.request_s": CLIENT.request_s,
    "retry.base_s": POLICY.base_s,
    "retry.multiplier": POLICY.multiplier,
    "retry.cap_s": POLICY.cap_s,
    "retry.attempts": POLICY.attempts,
    "retry_after.max_ms": MAX_RETRY_AFTER_MS,
    "decoder.max_event_bytes": inspect.signature(Decoder).parameters["max_event_bytes"].default,
    "stream_bounds.connect_s": STREAM.connect_s,
    "stream_bounds.first_token_s": STREAM.first_token_s,
    "stream_bounds.idle_s": STREAM.idle_s,
    "cancel.close_s": CLOSE_S,
    "error.words_chars": MAX_WORDS_CHARS,
    "correlation_id.max_chars": 128,  # in a pattern; the test below sends so many
    "narration.human_chars": 100,  # advice; what is longer than the bound of the code is cut
}
"""The bounds that no setting changes, as the code has them; the others are those of the configuration."""


@pytest.mark.req("GATE-1003")
def test_every_bound_that_no_setting_changes_is_the_code_s() -> None:
    assert {name: bound.value for name, bound in SPEC.bounds.items() if not bound.setting} == FIXED
    assert FIXED["narration.human_chars"] <= HUMAN_CHARACTERS


@pytest.mark.req("OC-CTRL-2052", "GATE-1003")
async def test_every_answer_has_its_headers_and_ids_of_the_length_that_is_allowed(autojump_clock: MockClock) -> None:
    length = int(SPEC.bounds["correlation_id.max_chars"].value)
    async with open_service() as service:
        for size in (length, length + 1):
            reply = await service.call("GET", "/livez", headers=[(CORRELATION, "x" * size)])
            assert {name.lower() for name in SPEC.headers("every")} <= reply.headers.keys()
            assert (reply.headers[CORRELATION.lower()] == "x" * size) == (size == length)


def enumerations(rule: object, path: str) -> Iterator[str]:
    """Yield the places of the enumerations in a schema."""
    if not isinstance(rule, dict):
        return
    if "enum" in rule:
        yield path
    for name, inner in rule.get("properties", {}).items():
        yield from enumerations(inner, f"{path}{'/' if path.count('/') == 1 else '.'}{name}")
    yield from enumerations(rule.get("items"), f"{path}.items")
    assert not {"anyOf", "oneOf", "allOf", "$defs"} & {key for key in rule if "enum" in str(rule[key])}


@pytest.mark.req("GATE-1003")
def test_every_enumeration_is_one_that_agreements_compare_with_the_code() -> None:
    found = {f"enum:{place}" for key, rule in SPEC.schemas.items() for place in enumerations(rule, "/".join(key))}
    compared = {source for each in SPEC.agreements if each.code for source in each.documents}
    assert found - compared == set()
    assert len(found) > 10


@pytest.mark.req("HTU-1006")
@pytest.mark.parametrize("engine", ["any", *SPEC.engines])
def test_every_failure_of_an_engine_is_played_to_an_adapter(engine: str) -> None:
    by_the_kit = {fault.id for subject in SUBJECTS.values() for fault in subject.faults(SPEC)}
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "tests/adapters").rglob("test_errors.py"))
    is_by_a_test = any(f'engine_errors("{engine}")' in text for text in texts)
    assert is_by_a_test or {row.id for row in SPEC.engine_errors(engine)} <= by_the_kit


@pytest.mark.req("ORCH-3027")
def test_every_field_of_the_log_is_written_somewhere() -> None:
    words: set[str] = set()
    for path in (path for package in ("orchestratord", "adapter_host") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
            elif isinstance(node, ast.keyword) and node.arg is not None:
                words.add(node.arg)
    assert set(SPEC.log.fields) - words == set()
