"""What is refused at admission, with which words, and that nothing a client sends is our fault."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from trio.testing import MockClock

import specs
from tests.support.service import configuration, open_llama, open_service, task

if TYPE_CHECKING:
    from tests.support.service import Service

SPEC = specs.load()
ENVELOPE = Draft202012Validator(dict(SPEC.schema("http", "ErrorEnvelope")))
REQUEST = Draft202012Validator(dict(SPEC.schema("http", "TaskRequest")))
STALLED = {"slots": 1, "script": [{"do": "started"}, {"do": "stall"}]}

WRONG_FIELDS: list[tuple[dict[str, object], str, str]] = [
    ({"task_id": None}, "task_id", "missing"),
    ({"task_id": "1"}, "task_id", "UUID"),
    ({"session_id": 7}, "session_id", "`uuid`"),
    ({"workload": "chat"}, "workload", "enum"),
    ({"engine": ""}, "engine", "length"),
    ({"ctx": "2048"}, "ctx", "`int`"),
    ({"ctx": 0}, "ctx", ">= 1"),
    ({"ctx": 1.5}, "ctx", "`int`"),
    ({"ctx": 10**400}, "ctx", ""),
    ({"priority": "urgent"}, "priority", "enum"),
    ({"max_tokens": -1}, "max_tokens", ">= 1"),
    ({"max_tokens": 2049}, "max_tokens", "ctx"),
    ({"max_tokens": True}, "max_tokens", "`int`"),
    ({"deadline_ms": 0}, "deadline_ms", ">= 1"),
    ({"seed": 2**63}, "seed", ""),
    ({"determinism": "maybe"}, "determinism", "enum"),
    ({"prompt": ["a"]}, "prompt", "`str`"),
    ({"messages": []}, "messages", ""),
    ({"prompt": None, "messages": []}, "messages", "at least one"),
    ({"prompt": None, "messages": [{"role": "user"}]}, "content", "missing"),
    ({"prompt": None, "messages": [{"role": "user", "contents": ""}]}, "contents", "did you mean `content`"),
    ({"inputs": ["a"]}, "inputs", "embedding"),
    ({"workload": "embedding"}, "inputs", "missing"),
    ({"sampling": {"temprature": 1}}, "sampling.temprature", "did you mean `temperature`"),
    ({"sampling": {"temperature": -1}}, "sampling.temperature", ">= 0"),
    ({"sampling": {"stop": [1]}}, "sampling.stop", "`str`"),
    ({"sampler_profile_version": "none"}, "sampler_profile_version", "none"),
    ({"kv_hint": "warm"}, "kv_hint", "enum"),
    ({"promt": "x"}, "promt", "did you mean `prompt`"),
    ({"zzz": "x"}, "zzz", "unknown field"),
    ({"x` - at `$.sampled": "x"}, "x", "unknown field"),
    ({"placement": {"mode": "pin"}}, "placement.pin_pool_id", "missing"),
    ({"placement": {"pool": "x"}}, "placement.pool", "unknown field"),
    ({"placement": {"mode": "pin", "pin_pool_id": "other"}}, "placement.pin_pool_id", "'other'"),
    ({"ctx": 5000}, "ctx", "4096"),
]
GARBAGE = {
    "nothing": b"",
    "no JSON": b"hello",
    "half": b'{"task_id": "',
    "not UTF-8": b'{"prompt": "\xff\xfe"}',
    "a list": b"[]",
    "a number": b"7",
    "null": b"null",
    "deep": b'{"sampling":' * 100_000,
    "deep lists": b'{"inputs":' + b"[" * 200_000,
    "a surrogate": b'{"task_id": "\\ud800"}',
    "NaN": b'{"ctx": NaN}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "zeros": b"\x00" * 1000,
}


async def refusal(service: Service, body: bytes | dict[str, object]) -> tuple[int, object, str]:
    reply = await service.call("POST", "/v1/tasks", body=body)
    ENVELOPE.validate(reply.data)
    assert reply.data["retriable"] is False
    return reply.status, reply.code, reply.message


@pytest.mark.req("OC-CTRL-2010", "OC-CTRL-2010a", "OC-CTRL-2010c", "OC-CTRL-2030c", "OC-CTRL-2014")
@pytest.mark.parametrize(("fields", "field", "words"), WRONG_FIELDS, ids=lambda value: str(value)[:50])
async def test_a_wrong_field_is_named(
    fields: dict[str, object], field: str, words: str, autojump_clock: MockClock
) -> None:
    async with open_service() as service:
        status, code, message = await refusal(service, task(**fields))
        assert (status, code) == (400, "INVALID_PARAMS")
        assert field in message
        assert words in message
        assert service.dispatcher.pools[service.pool.pool_id].active_leases == 0


@pytest.mark.req("OC-CTRL-2010a", "OC-CTRL-2032a")
@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_is_the_client_s_fault(name: str, autojump_clock: MockClock) -> None:
    async with open_service() as service:
        status, code, message = await refusal(service, GARBAGE[name])
        assert (status, code) == (400, "INVALID_PARAMS")
        assert len(message) < 300


@pytest.mark.req("OC-CTRL-2010c", "OC-CTRL-2010f")
@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": None},
        {"prompt": ""},
        {"prompt": None, "messages": [{"role": "user", "content": "Hi"}]},
        {"output_mode": "opera"},
        {"seed": -(2**63)},
        {"workload": "embedding", "inputs": ["a"], "prompt": None},
        {"sampling": {}},
        {"placement": {}},
        {"placement": {"mode": "pin", "pin_pool_id": "default"}},
        {"kv_hint": "reuse", "expected_tokens": 3, "determinism": "strict"},
    ],
    ids=str,
)
async def test_what_the_contract_allows_is_admitted(fields: dict[str, object], autojump_clock: MockClock) -> None:
    async with open_service() as service:
        body = task(**fields)
        REQUEST.validate(body)
        assert (await service.call("POST", "/v1/tasks", body=body)).status == 202
        assert (await service.read(str(body["task_id"]))).kinds[-1] == "end"


@pytest.mark.req("OC-CORE-1013", "OC-CORE-1012", "OC-CTRL-2030", "OC-CTRL-2034")
@pytest.mark.parametrize("fields", [{"model_ref": "hf:none"}, {"engine": "vllm"}])
async def test_what_no_pool_serves_is_unavailable(fields: dict[str, object], autojump_clock: MockClock) -> None:
    async with open_service() as service:
        reply = await service.call("POST", "/v1/tasks", body=task(**fields))
        assert (reply.status, reply.code, reply.data["retriable"]) == (503, "POOL_UNAVAILABLE", True)
        assert "retry-after" in reply.headers
        assert await service.metric("tasks_rejected_total", reason="POOL_UNAVAILABLE") == 1


@pytest.mark.req("OC-CTRL-2010e")
async def test_a_deadline_that_the_queue_eats_up_is_refused_at_once(autojump_clock: MockClock) -> None:
    async with open_service(configuration(STALLED)) as service:
        await service.admit()
        reply = await service.call("POST", "/v1/tasks", body=task(deadline_ms=5))
        assert (reply.status, reply.code) == (400, "DEADLINE_UNMET")
        assert "deadline_ms" in reply.message


@pytest.mark.req("OC-CTRL-2011", "OC-CTRL-2011a", "OC-CTRL-2011b", "OC-CORE-1004", "OC-CTRL-2034")
@pytest.mark.parametrize(
    ("policy", "priority", "code"),
    [
        ("reject", "interactive", "ADMISSION_REJECT"),
        ("reject", "batch", "ADMISSION_REJECT"),
        ("shed-low-priority", "batch", None),
        ("shed-low-priority", "interactive", None),
    ],
)
@pytest.mark.parametrize("waited_s", [0, 0.7, 60])
async def test_a_full_queue_refuses_with_everything_a_client_needs_to_wait(
    policy: str, priority: str, code: str | None, waited_s: float, autojump_clock: MockClock
) -> None:
    config = configuration(STALLED, pool={"queue": {"capacity": 2, "policy": policy}})
    async with open_service(config) as service:
        for _ in range(3):
            await service.admit(priority="interactive")
        await trio.sleep(waited_s)
        reply = await service.call("POST", "/v1/tasks", body=task(priority=priority))
        assert reply.status == 429
        assert reply.code == code or (code is None and reply.code in {"ADMISSION_REJECT", "QUEUE_FULL_DROP_LRU"})
        ENVELOPE.validate(reply.data)
        assert {name.lower() for name in SPEC.headers("429")} <= reply.headers.keys()
        wait_ms = int(str(reply.data["retry_after_ms"]))
        assert reply.headers["x-backoff-ms"] == str(wait_ms)
        assert int(reply.headers["retry-after"]) == max(1, -(-wait_ms // 1000))
        assert reply.headers["x-backoff-policy"] == reply.data["policy_label"] == policy
        assert reply.data["retriable"] is True
        assert (reply.data["engine"], reply.data["pool_id"]) == ("mock", "default")
        assert await service.metric("admission_backpressure_events_total", policy=policy) == 1
        assert await service.metric("queue_depth") == 2


@pytest.mark.req("OC-CORE-1004", "OC-CORE-1004a", "OC-CORE-1002")
@pytest.mark.parametrize(("policy", "victim"), [("drop-lru", 0), ("shed-low-priority", 1)])
async def test_a_task_that_is_dropped_for_another_says_so(policy: str, victim: int, autojump_clock: MockClock) -> None:
    config = configuration(STALLED, pool={"queue": {"capacity": 2, "policy": policy}})
    async with open_service(config) as service:
        await service.admit()
        batch = [await service.admit(priority="batch") for _ in range(2)]
        events = await service.open_stream(batch[victim])
        await events.until("started")
        newcomer = await service.admit(priority="interactive")
        await events.rest()
        assert events.frames[-1].data["code"] == "QUEUE_FULL_DROP_LRU"
        assert events.frames[-1].data["retriable"] is True
        assert (await service.state(newcomer))["state"] == "queued"
        assert (await service.state(batch[1 - victim]))["state"] == "queued"
        assert await service.metric("queue_depth") == 2


@pytest.mark.req("OC-CTRL-2011b")
async def test_a_wait_that_the_engine_asks_for_is_passed_on(autojump_clock: MockClock) -> None:
    async with open_llama() as (service, double):
        double.stop()
        await trio.sleep(5)
        reply = await service.call("POST", "/v1/tasks", body=task(engine="llamacpp"))
        assert reply.status == 503
        assert reply.headers["retry-after"] == str(-(-int(str(reply.data["retry_after_ms"])) // 1000))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*SPEC.schema("http", "TaskRequest")["properties"], "zzz"])  # type: ignore[misc]


@pytest.mark.req("OC-CTRL-2010a", "OC-CTRL-2032a")
@settings(max_examples=150)
@given(fields=st.dictionaries(names, values, min_size=1, max_size=4), raw=st.binary(max_size=30))
def test_no_body_is_our_fault(fields: dict[str, object], raw: bytes) -> None:
    async def main() -> None:
        async with open_service() as service:
            body = {**task(), **fields}
            # NaN and surrogates included: Python writes what JSON forbids
            replies = [await service.call("POST", "/v1/tasks", body=each) for each in (json.dumps(body).encode(), raw)]
            assert all(reply.status in {202, 400, 503} for reply in replies), replies
            assert not service.logged("internal")
            for reply in replies:
                if reply.status != 202:
                    ENVELOPE.validate(reply.data)
            if replies[0].status == 202:
                REQUEST.validate({name: value for name, value in body.items() if value is not None})

    trio.run(main, clock=MockClock(autojump_threshold=0))
