"""Every route answers as the contract says, and every answer says whose it is."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from jsonschema import Draft202012Validator

import specs
from tests.support.service import configuration, open_llama, open_service, task

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.service import Service

SPEC = specs.load()
UNKNOWN = "11111111-1111-4111-8111-111111111111"


def validate(event: str, data: object) -> None:
    Draft202012Validator(dict(SPEC.schema("http", event))).validate(data)


async def answers(service: Service) -> dict[tuple[str, str], int]:
    """Ask every route of the documents once, well; return the statuses."""
    finished = await service.admit()
    await service.read(finished)
    paths = {"/v1/pools/{id}/health": "/v1/pools/default/health"}
    statuses: dict[tuple[str, str], int] = {}
    for route in SPEC.routes:
        path = paths.get(route.path, route.path).replace("{id}", finished)
        body = task() if route.method == "POST" and route.path == "/v1/tasks" else None
        statuses[route.method, route.path] = (await service.call(route.method, path, body=body)).status
    return statuses


@pytest.mark.req("OC-CTRL-2004a")
async def test_every_route_of_the_documents_is_served(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        assert await answers(service) == {(route.method, route.path): route.success for route in SPEC.routes}


@pytest.mark.req("OC-CTRL-2004", "OC-CTRL-2004a")
@pytest.mark.parametrize(
    "path", ["/v1/replicasets", "/v1", "/", "/v1/task", "/v1/tasks/", "/v1//capabilities", "/%ff%00", "/v2/tasks"]
)
async def test_an_unknown_path_is_not_found_and_says_so(path: str, autojump_clock: MockClock) -> None:
    async with open_service() as service:
        reply = await service.call("GET", path)
        assert (reply.status, reply.code) == (404, "NOT_FOUND")
        assert reply.headers["content-type"] == "application/json"
        validate("ErrorEnvelope", reply.data)


@pytest.mark.req("OC-CTRL-2030b")
@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/tasks", {"POST"}),
        ("GET", "/v1/tasks", {"POST"}),
        ("POST", "/metrics", {"GET"}),
        ("PATCH", f"/v1/tasks/{UNKNOWN}", {"GET", "DELETE"}),
    ],
)
async def test_another_method_is_refused_with_the_ones_that_are_served(
    method: str, path: str, allowed: set[str], autojump_clock: MockClock
) -> None:
    async with open_service() as service:
        reply = await service.call(method, path)
        assert reply.status == 405
        assert reply.code == "INVALID_PARAMS"
        assert method in reply.message
        assert allowed <= set(reply.headers["allow"].split(", "))


@pytest.mark.req("SSE-1002d", "OC-CTRL-2030")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/v1/tasks/{UNKNOWN}"),
        ("DELETE", f"/v1/tasks/{UNKNOWN}"),
        ("POST", f"/v1/tasks/{UNKNOWN}/cancel"),
        ("GET", f"/v1/tasks/{UNKNOWN}/stream"),
        ("GET", "/v1/tasks/not-a-uuid"),
        ("GET", "/v1/pools/none/health"),
    ],
)
async def test_what_is_not_there_is_not_found(method: str, path: str, autojump_clock: MockClock) -> None:
    async with open_service() as service:
        reply = await service.call(method, path)
        assert (reply.status, reply.code, reply.data["retriable"]) == (404, "NOT_FOUND", False)
        validate("ErrorEnvelope", reply.data)


@pytest.mark.req("OC-CTRL-2052")
async def test_every_answer_echoes_the_correlation_id(autojump_clock: MockClock) -> None:
    async with open_service(configuration(token="right-token-0123456789")) as service:
        token = [("Authorization", "Bearer right-token-0123456789")]
        body = task()
        asked = [
            ("POST", "/v1/tasks", token, body, 202),
            ("POST", "/v1/tasks", token, {**body, "ctx": 0}, 400),
            ("GET", f"/v1/tasks/{body['task_id']}", token, None, 200),
            ("DELETE", f"/v1/tasks/{body['task_id']}", token, None, 204),
            ("POST", f"/v1/tasks/{body['task_id']}/cancel", token, None, 204),
            ("GET", f"/v1/tasks/{body['task_id']}/stream", token, None, 200),
            ("GET", "/metrics", token, None, 200),
            ("GET", "/metrics", [], None, 401),
            ("GET", "/livez", [], None, 200),
            ("GET", "/nothing", token, None, 404),
            ("PUT", "/livez", token, None, 405),
            ("POST", "/v1/tasks", token, b"{" + b" " * 5_000_000, 413),
        ]
        for number, (method, path, headers, sent, status) in enumerate(asked):
            given = f"mine-{number} & ~"
            reply = await service.call(method, path, headers=[*headers, ("X-Correlation-Id", given)], body=sent)
            assert (reply.status, reply.headers["x-correlation-id"]) == (status, given)


@pytest.mark.req("OC-CTRL-2052", "OC-CTRL-2052a")
@pytest.mark.parametrize("given", [None, "", "x" * 129, "with\ttab", "caf\xe9"])
async def test_an_unfit_correlation_id_is_replaced_by_a_fresh_uuid(
    given: str | None, autojump_clock: MockClock
) -> None:
    async with open_service() as service:
        headers = [] if given is None else [("X-Correlation-Id", given)]
        seen = {(await service.call("GET", "/livez", headers=headers)).headers["x-correlation-id"] for _ in range(2)}
        assert len(seen) == 2
        assert all(uuid.UUID(each).version == 4 for each in seen)


@pytest.mark.req("OC-CTRL-2052")
async def test_the_correlation_id_of_the_admission_is_in_the_stream_and_in_the_log(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        task_id = await service.admit(headers=[("X-Correlation-Id", "mine")])
        events = await service.read(task_id)
        assert events.frames[0].data["correlation_id"] == "mine"
        assert {line["correlation_id"] for line in service.logged() if line.get("job_id") == task_id} == {"mine"}


@pytest.mark.req("OC-CTRL-2010", "OC-CTRL-2050", "OC-CTRL-2063")
async def test_an_admission_says_where_the_task_stands(autojump_clock: MockClock) -> None:
    async with open_service(configuration({"slots": 1})) as service:
        replies = [await service.call("POST", "/v1/tasks", body=task()) for _ in range(3)]
        for reply in replies:
            assert reply.status == 202
            validate("AdmissionResponse", reply.data)
        assert [reply.data["queue_position"] for reply in replies] == [0, 0, 1]
        assert [reply.data["backoff_ms"] for reply in replies] == [0, 0, 0]
        starts = [int(str(reply.data["predicted_start_ms"])) for reply in replies]
        assert starts[0] == 0
        assert starts[0] < starts[1] < starts[2]
        told = [(line["queue_position"], line["predicted_start_ms"]) for line in service.logged("admission")]
        assert told == [(reply.data["queue_position"], reply.data["predicted_start_ms"]) for reply in replies]


@pytest.mark.req("OC-CTRL-2010b")
async def test_the_same_task_again_is_answered_as_before_and_another_is_refused(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        body = task()
        first = await service.call("POST", "/v1/tasks", body=body)
        again = await service.call("POST", "/v1/tasks", body=dict(reversed(body.items())))
        other = await service.call("POST", "/v1/tasks", body={**body, "prompt": "Another"})
        await service.read(str(body["task_id"]))
        after = await service.call("POST", "/v1/tasks", body=body)
        assert [first.status, again.status, after.status] == [202, 202, 202]
        assert first.body == again.body == after.body
        assert (other.status, other.code) == (400, "INVALID_PARAMS")
        assert other.message.startswith("task_id: ")
        assert await service.metric("tasks_enqueued_total") == 1


@pytest.mark.req("OC-CTRL-2004a")
async def test_a_task_is_found_under_every_spelling_of_its_uuid(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        spelled = "ABCDEF01-2345-4789-ABCD-EF0123456789"
        await service.admit(task_id=spelled)
        for each in (spelled, spelled.lower()):
            assert (await service.call("GET", f"/v1/tasks/{each}")).status == 200
        assert (await service.cancel(spelled)).status == 204


@pytest.mark.req("OC-CTRL-2004a")
async def test_a_task_can_be_looked_at_through_its_life(autojump_clock: MockClock) -> None:
    async with open_service(configuration({"slots": 1, "tokens_per_second": 10})) as service:
        first, second = await service.admit(), await service.admit()
        assert (await service.state(first))["state"] == "running"
        waiting = await service.state(second)
        assert (waiting["state"], waiting["queue_position"]) == ("queued", 0)
        assert "replica_id" not in waiting
        events = await service.read(first)
        ended = await service.state(first)
        assert (ended["state"], ended["token_frames"], ended["last_event_id"]) == ("ended", 8, 10)
        assert ended["end"] == events.frames[-1].data
        await service.cancel(second)
        assert (await service.state(second))["state"] == "canceled"


@pytest.mark.req("OC-CTRL-2060", "OC-CTRL-2061", "OC-CTRL-2063", "ORCH-3095", "ORCH-3096")
async def test_capabilities_tell_what_each_pool_serves(autojump_clock: MockClock) -> None:
    profile = {"precise": {"temperature": 0.0}}
    config = configuration(
        {"slots": 3, "ctx_max": 512, "model_digest": f"sha256:{'0' * 64}"},
        pool={"aliases": ["small"], "sampler_profiles": profile, "default_profile": "precise"},
    )
    async with open_service(config) as service:
        reply = await service.call("GET", "/v1/capabilities")
        validate("Capabilities", reply.data)
        (pool,) = msgspec.convert(reply.data["engines"], list[dict[str, object]])
        assert pool["models"] == ["default", "file:/models/test.gguf", f"sha256:{'0' * 64}", "small"]
        assert pool["supported_workloads"] == ["completion", "embedding", "rerank"]
        assert (pool["engine"], pool["pool_id"], pool["ctx_max"], pool["concurrency"]) == ("mock", "default", 512, 3)
        assert pool["sampler_profile_version"] == "precise"
        assert {"engine_version", "max_tokens_out", "rate_limits", "features"} <= pool.keys()


@pytest.mark.req("OC-CTRL-2001", "OC-CTRL-2063")
async def test_a_pool_tells_how_it_is(autojump_clock: MockClock) -> None:
    async with open_service(configuration({"slots": 2, "tokens_per_second": 10})) as service:
        for _ in range(3):
            await service.admit()
        reply = await service.call("GET", "/v1/pools/default/health")
        validate("PoolHealth", reply.data)
        assert (reply.data["live"], reply.data["ready"], reply.data["draining"]) == (True, True, False)
        assert reply.data["metrics"] == {"slots_total": 2, "slots_free": 0, "queue_depth": 1, "active_leases": 2}


@pytest.mark.req("OC-CTRL-2001", "ORCH-3038", "ORCH-3038b")
async def test_an_engine_that_is_away_shows_everywhere(autojump_clock: MockClock) -> None:
    async with open_llama(is_ready=False, pool={"probe_interval_ms": 100}) as (service, double):
        double.stop()
        await trio.sleep(1)
        health = (await service.call("GET", "/v1/pools/default/health")).data
        ready = await service.call("GET", "/readyz")
        assert (health["live"], health["ready"]) == (False, False)
        assert (ready.status, ready.data["pools"]) == (503, {"default": False})
        assert await service.metric("pool_ready", pool_id="default") == 0
        reply = await service.call("POST", "/v1/tasks", body=task(engine="llamacpp"))
        assert (reply.status, reply.code, reply.data["retriable"]) == (503, "POOL_UNREADY", True)
        assert int(reply.headers["retry-after"]) >= 1
        validate("ErrorEnvelope", reply.data)
        double.start()
        await trio.sleep(1)
        assert (await service.call("GET", "/readyz")).status == 200
        assert (await service.call("POST", "/v1/tasks", body=task(engine="llamacpp"))).status == 202


@pytest.mark.req("ORCH-3038b")
async def test_while_the_engine_loads_work_is_refused_for_now(autojump_clock: MockClock) -> None:
    async with open_llama(is_ready=False) as (service, double):
        double.load_model(30)
        await trio.sleep(5)
        assert (await service.call("GET", "/livez")).status == 200
        assert (await service.call("GET", "/readyz")).status == 503
        reply = await service.call("POST", "/v1/tasks", body=task(engine="llamacpp"))
        assert (reply.status, reply.code) == (503, "POOL_UNREADY")
        await trio.sleep(30)
        task_id = await service.admit(engine="llamacpp")
        assert (await service.read(task_id)).kinds[-1] == "end"


@pytest.mark.req("OC-CTRL-2051", "OC-METRICS-7101")
async def test_metrics_are_in_the_text_format(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        await service.read(await service.admit())
        reply = await service.call("GET", "/metrics")
        assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert await service.metric("tasks_enqueued_total", engine="mock", pool_id="default") == 1
        assert await service.metric("tokens_out_total", engine="mock") == 8
        assert await service.metric("latency_first_token_ms_count", priority="interactive") == 1
        assert await service.metric("active_leases", pool_id="default") == 0


@pytest.mark.req("SSE-1003a")
async def test_asking_for_the_head_of_a_stream_only_does_not_touch_the_task(autojump_clock: MockClock) -> None:
    async with open_service() as service:
        task_id = await service.admit()
        reply = await service.call("HEAD", f"/v1/tasks/{task_id}/stream")
        assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
        assert (await service.state(task_id))["state"] == "running"
