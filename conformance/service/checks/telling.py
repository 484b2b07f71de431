"""What the service tells of itself, to whom, and what it never tells: capabilities, health, metrics, auth, secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from conformance.findings import NotApplicable, Stop
from conformance.service.check import SECRET, Group, ServiceCheck
from conformance.service.judges import against_schema

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from conformance.service.visit import Visit

_HISTOGRAM_LABELS = {"le"}


async def _capabilities(visit: Visit) -> None:
    reply = await visit.call("GET", "/v1/capabilities")
    visit.require(reply.status == 200, "200 for /v1/capabilities", reply)
    for wrong in against_schema(visit.spec, "http", "Capabilities", reply.data):
        visit.expect(False, "capabilities as their schema has them", wrong)
    visit.expect(bool(reply.fields.get("engines")), "at least one pool", reply)


async def _pools(visit: Visit) -> None:
    visit.require(bool(visit.facts.pools), "pools in the capabilities", "none")
    for pool_id in visit.facts.pools:
        reply = await visit.call("GET", f"/v1/pools/{pool_id}/health")
        visit.expect(reply.status == 200, f"200 for the health of {pool_id}", reply)
        for wrong in against_schema(visit.spec, "http", "PoolHealth", reply.data):
            visit.expect(False, f"the health of {pool_id} as its schema has it", wrong)


async def _probes(visit: Visit) -> None:
    live = await visit.call("GET", "/livez")
    visit.expect(live.status == 200, "200 for /livez", live)
    ready = await visit.call("GET", "/readyz")
    visit.expect(ready.status == 200, "200 for /readyz of a service that takes tasks", ready)


async def _metrics(visit: Visit) -> list[Metric]:
    reply = await visit.call("GET", "/metrics")
    visit.require(reply.status == 200, "200 for /metrics", reply)
    try:
        return list(text_string_to_metric_families(reply.body.decode()))
    except ValueError as error:
        visit.expect(False, "the Prometheus text format", error)
        raise Stop from None


async def _names(visit: Visit) -> None:
    await visit.complete()
    for family in await _metrics(visit):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        row = visit.spec.metrics.get(name)
        if not visit.expect(row is not None, "a metric of the table", f"{family.type} {name}") or row is None:
            continue
        visit.expect(family.type == row.type, f"{name} as a {row.type}", family.type)
        for sample in family.samples:
            labels = set(sample.labels) - (_HISTOGRAM_LABELS if row.type == "histogram" else set())
            visit.expect(labels == set(row.labels), f"{sample.name} with labels {sorted(row.labels)}", sorted(labels))
        if row.type == "histogram" and family.samples:
            bounds = {float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels}
            visit.expect(bounds == {*map(float, row.buckets), float("inf")}, f"{name} with its buckets", sorted(bounds))


async def _counted(visit: Visit) -> None:
    names = ("tasks_enqueued_total", "tasks_started_total", "tokens_out_total")
    before = [_sum(await _metrics(visit), name) for name in names]
    reading = await visit.complete()
    after = [_sum(await _metrics(visit), name) for name in names]
    tokens = reading.last.data.get("tokens_out") if reading.last else 0
    least = (1, 1, tokens if isinstance(tokens, int) else 0)
    for name, was, now, by in zip(names, before, after, least, strict=True):
        visit.expect(now - was >= by, f"{name} at least {by} higher after a task", f"{was:g}, then {now:g}")


def _sum(families: list[Metric], name: str) -> float:
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)


async def _labels(visit: Visit) -> None:
    body = visit.task(prompt=f"The word is {visit.canaries['prompt']}.")
    await visit.complete(body)
    private = (str(body["task_id"]), str(body["session_id"]))
    values: dict[str, set[str]] = {}
    for family in await _metrics(visit):
        for sample in family.samples:
            for label, value in sample.labels.items():
                values.setdefault(label, set()).add(value)
                visit.expect(
                    not any(each in value for each in private), "no ids in labels", f"{sample.name} {label}={value}"
                )
    for label, budget in visit.spec.label_budgets.items():
        count = len(values.get(label, set()) - {"other"})
        visit.expect(count <= budget, f"at most {budget} values of {label}", count)


async def _asks_for_the_token(visit: Visit, token: str | None, code: str, about: str) -> None:
    for route in visit.spec.routes:
        if not route.is_open:
            path = route.path.replace("{id}", "x")
            reply = await visit.call(route.method, path, token=token, body={} if route.method == "POST" else None)
            visit.refused(reply, code, f"{route.method} {path} with {about}")


async def _missing_token(visit: Visit) -> None:
    _need_token(visit)
    if visit.target.auth_optional:
        raise NotApplicable("the token may be omitted here (--auth-optional)")
    await _asks_for_the_token(visit, None, "MISSING_TOKEN", "no token")
    visit.refused(
        await visit.call("GET", "/v1/no-such-thing", token=None), "MISSING_TOKEN", "an unknown path, no token"
    )


async def _bad_token(visit: Visit) -> None:
    _need_token(visit)
    token = visit.target.token
    await _asks_for_the_token(visit, visit.canaries["api_key"], "BAD_TOKEN", "another token")
    for wrong in (token[:-1], f"{token}x", token.swapcase() + "x", f"x{token}"):
        reply = await visit.call("GET", "/v1/capabilities", token=wrong)
        visit.refused(reply, "BAD_TOKEN", "a token that is nearly right")
    basic = [("Authorization", f"Basic {token}")]
    reply = await visit.call("GET", "/v1/capabilities", token=None, headers=basic)
    visit.refused(reply, "BAD_TOKEN", "another scheme than Bearer")


async def _open_probes(visit: Visit) -> None:
    _need_token(visit)
    for path in ("/livez", "/readyz"):
        for token in (None, visit.canaries["api_key"]):
            reply = await visit.call("GET", path, token=token)
            visit.expect(reply.status in {200, 503}, f"an answer of {path} without the token", reply)


def _need_token(visit: Visit) -> None:
    if not visit.target.token:
        raise NotApplicable("no token is known; --token-env names the variable that has it")


async def _secrets(visit: Visit) -> None:
    key, url, prompt = (visit.canaries[place] for place in ("api_key", "url", "prompt"))
    hidden = [("X-Api-Key", key), ("Cookie", f"session={key}")]
    await visit.call("GET", "/v1/no-such-thing", headers=hidden)
    await visit.call("GET", f"/v1/no-such-thing?api_key={url}", headers=hidden)
    await visit.call("GET", "/v1/capabilities", token=key)
    await visit.call("POST", "/v1/tasks", body={"prompt": prompt})
    await visit.call("POST", "/v1/tasks", body=f'{{"prompt": "{prompt}", '.encode())
    await visit.offer(visit.task(prompt=prompt, messages=[{"role": "user", "content": prompt}]))
    await visit.offer(visit.task(prompt=prompt, ctx=0))
    await visit.offer(visit.task(prompt=[prompt]))
    await visit.offer(visit.task(prompt=prompt, model_ref="file:/no/such/model.gguf"))
    await visit.complete(visit.task(prompt=prompt))
    await visit.call("GET", "/metrics")
    await visit.call("GET", "/v1/capabilities")
    await _pools(visit)


CHECKS = (
    ServiceCheck(
        id="S-AUT-01",
        title="without a token every route but the probes is refused",
        group=Group.AUTH,
        requirements=("AUTH-1001", "AUTH-1008"),
        play=_missing_token,
        causes=("/metrics or an unknown path is exempt",),
    ),
    ServiceCheck(
        id="S-AUT-02",
        title="a token that is not the right one is refused",
        group=Group.AUTH,
        requirements=("AUTH-1001",),
        play=_bad_token,
        causes=("only the beginning of the token is compared", "the scheme is not looked at"),
    ),
    ServiceCheck(
        id="S-AUT-03",
        title="/livez and /readyz are open",
        group=Group.AUTH,
        requirements=("AUTH-1008",),
        play=_open_probes,
        causes=("the token is asked for before the route is looked at",),
    ),
    ServiceCheck(
        id="S-OBS-01",
        title="capabilities tell the version of the API and each pool",
        group=Group.OBSERVABILITY,
        requirements=("OC-CTRL-2060", "OC-CTRL-2061", "OC-CTRL-2063"),
        play=_capabilities,
        causes=(
            "what is not known is null, or guessed",
            "pools are listed when they are ready only",
        ),
    ),
    ServiceCheck(
        id="S-OBS-02",
        title="each pool tells how it is",
        group=Group.OBSERVABILITY,
        requirements=("OC-CTRL-2001", "OC-CTRL-2063"),
        play=_pools,
        causes=(
            "a state in words where the schema has a boolean",
            "a pool that is not ready has no health",
        ),
    ),
    ServiceCheck(
        id="S-OBS-03",
        title="the probes answer",
        group=Group.OBSERVABILITY,
        requirements=("OC-CTRL-2004a",),
        play=_probes,
        causes=(
            "/readyz waits for every pool where one is enough",
            "a proxy answers for the service",
        ),
    ),
    ServiceCheck(
        id="S-OBS-04",
        title="the metrics are those of the table, with its types, labels and buckets",
        group=Group.OBSERVABILITY,
        requirements=("OC-METRICS-7101",),
        play=_names,
        causes=("a library exports metrics of its own",),
    ),
    ServiceCheck(
        id="S-OBS-05",
        title="a task is counted",
        group=Group.OBSERVABILITY,
        requirements=("OC-CTRL-2051",),
        play=_counted,
        causes=(
            "a task is counted when it ends only",
            "each replica counts for itself and one of them is asked",
        ),
    ),
    ServiceCheck(
        id="S-OBS-06",
        title="no label has an id, and none has more values than its budget",
        group=Group.OBSERVABILITY,
        requirements=("OC-METRICS-7102", "OC-METRICS-7102a"),
        play=_labels,
        causes=(
            "the id of a request, a session or a replica's process is a label",
            "a model's name as the client wrote it is a label",
        ),
    ),
    ServiceCheck(
        id=SECRET,
        title="no secret and no prompt comes back in an error, a metric or a report",
        group=Group.REDACTION,
        requirements=("HTU-1004",),
        play=_secrets,
        causes=("a parser's message quotes the input", "the path is told with its query"),
    ),
)
