"""A request's body, field by field: what is taken, and that a refusal names the field."""

from __future__ import annotations

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter_api import Determinism, Message, PoolId, Sampling, Workload
from orchestratord.core.placement import Placement, PlacementMode
from orchestratord.core.wire import TaskBody, decode_task, digest, to_placement, to_request, with_profile
from orchestratord.errors import Code, Refused

pytestmark = pytest.mark.req("OC-CTRL-2010a", "OC-CTRL-2030c")

TASK_ID = "6f1c2a54-9d0e-4a53-8f7e-1f0b7d3c2a10"
MINIMUM: dict[str, object] = {
    "task_id": TASK_ID,
    "session_id": "0d4f6a3e-52a1-4c38-9a0c-7f3f2f7f7c55",
    "workload": "completion",
    "model_ref": "default",
    "engine": "llamacpp",
    "ctx": 2048,
    "priority": "interactive",
    "max_tokens": 32,
    "deadline_ms": 60_000,
}


def body(**changes: object) -> bytes:
    """Return a body with these fields changed; None in `drop` removes one."""
    return json.dumps({**MINIMUM, **changes}).encode()


def refusal_of(raw: bytes) -> str:
    """Return the message of the refusal of `raw`."""
    with pytest.raises(Refused) as caught:
        decode_task(raw)
    envelope = caught.value.envelope
    assert envelope.code is Code.INVALID_PARAMS
    return envelope.message


def test_the_minimum_is_taken_with_its_defaults() -> None:
    task = decode_task(body())
    request = to_request(task, "corr")
    assert (request.task_id, request.correlation_id) == (TASK_ID, "corr")
    assert request.prompt == ""
    assert request.messages == ()
    assert request.determinism is Determinism.BEST_EFFORT
    assert request.sampling == Sampling()
    assert not request.reuse_kv
    assert to_placement(task) == Placement()


@pytest.mark.parametrize("field", MINIMUM)
def test_a_missing_field_is_named(field: str) -> None:
    fields = {name: value for name, value in MINIMUM.items() if name != field}
    assert refusal_of(json.dumps(fields).encode()) == f"{field}: missing"


WRONG: list[tuple[str, object]] = [
    ("task_id", 7), ("task_id", "not-a-uuid"), ("session_id", None), ("session_id", "x" * 36),
    ("workload", "chat"), ("workload", 1), ("model_ref", ""), ("model_ref", 5), ("model_ref", "m" * 513),
    ("engine", ""), ("engine", None), ("engine", ["llamacpp"]),
    ("ctx", 0), ("ctx", -1), ("ctx", "2048"), ("ctx", 1.5), ("ctx", True), ("ctx", 2**53), ("ctx", 10**40),
    ("priority", "urgent"), ("priority", None), ("max_tokens", 0), ("max_tokens", "many"), ("deadline_ms", 0),
    ("deadline_ms", -5), ("deadline_ms", None), ("deadline_ms", 2**60),
    ("seed", 2**63), ("seed", -(2**63) - 1), ("seed", 1.5), ("seed", "7"), ("determinism", "loose"),
    ("sampler_profile_version", ""), ("sampler_profile_version", 3), ("prompt", None), ("prompt", 7), ("prompt", ["a"]),
    ("messages", None), ("messages", "hello"), ("messages", {"role": "user"}), ("inputs", "text"), ("inputs", [1]),
    ("sampling", None), ("sampling", []), ("expected_tokens", 0), ("kv_hint", "warm"), ("output_mode", 5),
    ("placement", None), ("placement", "auto"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_wrong_value_is_refused_under_its_fields_name(field: str, value: object) -> None:
    message = refusal_of(body(**{field: value}))
    assert message.partition(": ")[0].removesuffix("[0]") == field


NESTED: list[tuple[str, object, str]] = [
    ("sampling", {"temperature": -0.1}, "sampling.temperature"),
    ("sampling", {"temperature": 101}, "sampling.temperature"),
    ("sampling", {"temperature": "hot"}, "sampling.temperature"),
    ("sampling", {"top_p": 1.1}, "sampling.top_p"),
    ("sampling", {"top_k": -1}, "sampling.top_k"),
    ("sampling", {"top_k": 2**31}, "sampling.top_k"),
    ("sampling", {"min_p": 2}, "sampling.min_p"),
    ("sampling", {"repeat_penalty": -1}, "sampling.repeat_penalty"),
    ("sampling", {"presence_penalty": 101}, "sampling.presence_penalty"),
    ("sampling", {"frequency_penalty": -101}, "sampling.frequency_penalty"),
    ("sampling", {"stop": "x"}, "sampling.stop"),
    ("sampling", {"stop": [""]}, "sampling.stop[0]"),
    ("sampling", {"stop": ["x"] * 65}, "sampling.stop"),
    ("sampling", {"stop": [1]}, "sampling.stop[0]"),
    ("messages", [{"role": "user"}], "messages[0].content"),
    ("messages", [{"content": "hi"}], "messages[0].role"),
    ("messages", [{"role": "", "content": "hi"}], "messages[0].role"),
    ("messages", [{"role": "user", "content": 5}], "messages[0].content"),
    ("messages", ["hi"], "messages[0]"),
    ("placement", {"mode": "nearest"}, "placement.mode"),
    ("placement", {"pin_pool_id": 5}, "placement.pin_pool_id"),
    ("placement", {"prefer_pools": "a"}, "placement.prefer_pools"),
    ("placement", {"avoid_pools": [1]}, "placement.avoid_pools[0]"),
    ("placement", {"allow_fallback": "yes"}, "placement.allow_fallback"),
    ("placement", {"mode": "pin"}, "placement.pin_pool_id"),
    ("placement", {"require_device_mask": "0b11"}, "placement.require_device_mask"),
]


@pytest.mark.parametrize(("field", "value", "path"), NESTED)
def test_a_wrong_value_inside_is_refused_under_its_path(field: str, value: object, path: str) -> None:
    assert refusal_of(body(**{field: value})).partition(": ")[0] == path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_token": 5}, "max_token: unknown field; did you mean `max_tokens`?"),
        ({"deadline": 5}, "deadline: unknown field; did you mean `deadline_ms`?"),
        ({"zzz": 5}, "zzz: unknown field"),
        ({"sampling": {"temprature": 1}}, "sampling.temprature: unknown field; did you mean `temperature`?"),
        ({"sampling": {"max_tokens": 1}}, "sampling.max_tokens: unknown field"),
        ({"placement": {"pin_pool": "a"}}, "placement.pin_pool: unknown field; did you mean `pin_pool_id`?"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "user", "contents": "x"}]},
            "messages[1].contents: unknown field; did you mean `content`?",
        ),
        ({"we`ird": 1}, "we`ird: unknown field"),
        ({"placement": {"`": 1}}, "placement.`: unknown field"),
        ({"sampling": {"a` - at `$.b": 1, }}, "sampling.a` - at `$.b: unknown field"),
        ({"a\nb": 1}, "a\nb: unknown field"),
        ({"": 1}, ": unknown field"),
    ],
)  # fmt: skip
def test_an_unknown_field_is_named_with_the_one_that_was_meant(changes: dict[str, object], message: str) -> None:
    assert refusal_of(body(**changes)) == message


@pytest.mark.req("OC-CTRL-2010", "OC-CTRL-2010c")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, "messages"),
        ({"messages": []}, "messages"),
        ({"inputs": ["a"]}, "inputs"),
        ({"workload": "embedding"}, "inputs"),
        ({"workload": "rerank", "prompt": "q"}, "inputs"),
        ({"max_tokens": 4096}, "max_tokens"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(changes: dict[str, object], field: str) -> None:
    assert refusal_of(body(**changes)).startswith(f"{field}: ")


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"null", b"[]", b'"x"', b"7", b"\xff\xfe", b'{"task_id": NaN}', b"[" * 100_000, b"{}{}",
     b'{"prompt": "\\ud800"}', b'{"prompt": "\xff"}'],
    ids=range(12),
)  # fmt: skip
def test_what_is_not_a_json_object_is_refused(raw: bytes) -> None:
    assert refusal_of(raw)


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(raw: bytes) -> None:
    assert refusal_of(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(field=st.sampled_from(TaskBody.__struct_fields__), value=json_values)
def test_any_value_of_any_field_is_taken_or_refused_under_its_name(field: str, value: object) -> None:
    try:
        task = decode_task(body(**{field: value}))
    except Refused as refused:
        message = refused.envelope.message
    else:
        to_request(task, "corr")
        digest(task)
        return
    assert field in message


@pytest.mark.req("OC-CTRL-2010f")
def test_an_unknown_output_mode_is_ignored() -> None:
    assert decode_task(body(output_mode="poetry")).output_mode == "poetry"


@pytest.mark.req("OC-CTRL-2010b")
def test_the_digest_is_of_the_meaning_and_not_of_the_spelling() -> None:
    plain = decode_task(body(prompt="x"))
    fields = dict(reversed({**MINIMUM, "prompt": "x", "task_id": TASK_ID.upper()}.items()))
    assert digest(decode_task(json.dumps(fields, indent=3).encode())) == digest(plain)
    assert digest(decode_task(body(prompt="y"))) != digest(plain)
    assert digest(decode_task(body(prompt="x", seed=0))) != digest(plain)


def test_a_task_id_has_one_spelling() -> None:
    for spelling in (TASK_ID, TASK_ID.upper(), uuid.UUID(TASK_ID).hex):
        assert to_request(decode_task(body(task_id=spelling)), "corr").task_id == TASK_ID


def test_everything_reaches_the_request() -> None:
    sampling = {
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "repeat_penalty": 1.1, "presence_penalty": 0.2,
        "frequency_penalty": -0.2, "stop": ["\n", "END"],
    }  # fmt: skip
    task = decode_task(
        body(
            messages=[{"role": "user", "content": "hi"}], seed=-(2**63), determinism="strict", kv_hint="reuse",
            sampling=sampling, sampler_profile_version="v1", expected_tokens=3,
        )
    )  # fmt: skip
    request = to_request(task, "corr")
    assert request.messages == (Message("user", "hi"),)
    assert (request.seed, request.determinism, request.reuse_kv) == (-(2**63), Determinism.STRICT, True)
    assert request.sampling == Sampling(**{**sampling, "stop": ("\n", "END")})  # type: ignore[arg-type]
    assert (request.workload, request.max_tokens, request.model_ref) == (Workload.COMPLETION, 32, "default")
    assert request.session_id == MINIMUM["session_id"]


def test_the_wish_for_a_place_reaches_placement() -> None:
    wish = {"mode": "pin", "pin_pool_id": "a", "prefer_pools": ["b"], "avoid_pools": ["c"], "allow_fallback": False}
    assert to_placement(decode_task(body(placement=wish))) == Placement(
        mode=PlacementMode.PIN,
        pin_pool_id=PoolId("a"),
        prefer_pools=(PoolId("b"),),
        avoid_pools=(PoolId("c"),),
        allow_fallback=False,
    )


PROFILES = {"v1": Sampling(temperature=0.1, top_k=5, stop=("x",)), "v2": Sampling(top_p=0.5)}


def test_the_callers_sampling_goes_over_the_profile() -> None:
    task = decode_task(body(sampler_profile_version="v1", sampling={"temperature": 0.0}))
    request = with_profile(to_request(task, "corr"), "v2", PROFILES)
    assert request.sampling == Sampling(temperature=0.0, top_k=5, stop=("x",))
    assert request.sampler_profile_version == "v1"


def test_the_pools_default_profile_applies_where_none_is_named() -> None:
    request = to_request(decode_task(body()), "corr")
    assert with_profile(request, None, PROFILES) is request
    assert with_profile(request, "v2", PROFILES).sampling == Sampling(top_p=0.5)
    assert with_profile(request, "v2", PROFILES).sampler_profile_version == "v2"


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    request = to_request(decode_task(body(sampler_profile_version="v9")), "corr")
    with pytest.raises(Refused, match=r"sampler_profile_version: .*'v9' \(profiles: v1, v2\)"):
        with_profile(request, None, PROFILES)
