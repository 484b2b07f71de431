"""What holds for HTTP itself: routes, methods, correlation ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.service.check import Group, ServiceCheck

if TYPE_CHECKING:
    from conformance.service.visit import Visit
    from specs import Route

_UNKNOWN = ("/", "/v1", "/v1/", "/v1/no-such-thing", "/v1/tasks/x/y/z", "/v2/tasks", "/metrics/x")
_ODD_IDS = ("no-such-task", "00000000-0000-4000-8000-000000000000", "%2e%2e", "x" * 200)
_TASK_ROUTES = (("GET", ""), ("GET", "/stream"), ("POST", "/cancel"), ("DELETE", ""))


async def _correlation(visit: Visit) -> None:
    for path in ("/livez", "/v1/capabilities", "/v1/no-such-thing", "/metrics"):
        await visit.call("GET", path)
        await visit.call("GET", path, correlation=None)
    await visit.call("GET", "/livez", correlation="x" * 128)
    await visit.call("POST", "/v1/tasks", body=b"{")
    first = await visit.call("GET", "/livez", correlation=None)
    second = await visit.call("GET", "/livez", correlation=None)
    told = first.header("x-correlation-id")
    visit.expect(told != second.header("x-correlation-id"), "a new id for each request", f"{told} twice")


async def _hostile_correlation(visit: Visit) -> None:
    for given in ("x" * 129, "x" * 4000, "a\tb"):
        reply = await visit.call("GET", "/livez", correlation=given)
        got = reply.header("x-correlation-id") or ""
        visit.expect(given[:100] not in got, f"another id than {given[:20]!r}... ({len(given)} characters)", got)


async def _unknown_routes(visit: Visit) -> None:
    for path in (*_UNKNOWN, *visit.spec.never_served):
        visit.refused(await visit.call("GET", path), "NOT_FOUND", path)
    visit.refused(await visit.call("POST", "/v1/no-such-thing", body={}), "NOT_FOUND", "POST of an unknown path")


async def _unknown_ids(visit: Visit) -> None:
    for task_id in _ODD_IDS:
        for method, path in _TASK_ROUTES:
            about = f"{method} /v1/tasks/{task_id[:40]}{path}"
            visit.refused(await visit.call(method, f"/v1/tasks/{task_id}{path}"), "NOT_FOUND", about)
    visit.refused(await visit.call("GET", "/v1/pools/no-such-pool/health"), "NOT_FOUND", "an unknown pool")


async def _routes(visit: Visit) -> None:
    task_id = await visit.admit()
    await visit.finish(task_id)
    for route in visit.spec.routes:
        if route.method != "GET" or route.body == "text/event-stream":
            continue
        path = _filled(route, task_id, visit.facts.pool_id)
        if path is None:
            continue
        reply = await visit.call("GET", path)
        kind = (reply.header("content-type") or "").partition(";")[0].strip()
        visit.expect(reply.status == route.success, f"{route.success} for GET {path}", reply)
        visit.expect(kind == route.body, f"{route.body} for GET {path}", kind or "no Content-Type")


def _filled(route: Route, task_id: str, pool_id: str) -> str | None:
    name = pool_id if route.path.startswith("/v1/pools/") else task_id
    return route.path.replace("{id}", name) if name else None


async def _methods(visit: Visit) -> None:
    for method, path in (("PUT", "/v1/tasks"), ("GET", "/v1/tasks"), ("DELETE", "/metrics"), ("PATCH", "/livez")):
        reply = await visit.call(method, path)
        visit.refused(reply, "INVALID_PARAMS", f"{method} {path}", status=405)
        visit.expect(bool(reply.header("allow")), f"the header Allow for {method} {path}", "none")


async def _options(visit: Visit) -> None:
    for path in ("/v1/tasks", "/v1/capabilities"):
        reply = await visit.call("OPTIONS", path)
        visit.expect(reply.status in {200, 204, 405}, f"200, 204 or 405 for OPTIONS {path}", reply)
        visit.expect("allow" in dict(reply.headers), f"the header Allow for OPTIONS {path}", "none")


async def _head(visit: Visit) -> None:
    for path in ("/livez", "/v1/capabilities", "/metrics"):
        whole, head = await visit.call("GET", path), await visit.call("HEAD", path)
        visit.expect(head.status == whole.status, f"{whole.status} for HEAD {path}", head.status)
        kinds = whole.header("content-type"), head.header("content-type")
        visit.expect(kinds[0] == kinds[1], f"Content-Type {kinds[0]} for HEAD {path}", kinds[1])


async def _head_of_a_stream(visit: Visit) -> None:
    task_id = await visit.admit()
    reply = await visit.call("HEAD", f"/v1/tasks/{task_id}/stream")
    visit.expect(reply.status == 200, "200 for HEAD of a stream", reply)
    reading = await visit.read(task_id)
    visit.expect(not reading.is_canceled, "a task that HEAD did not cancel", reading.kinds)


CHECKS = (
    ServiceCheck(
        id="S-HTTP-01",
        title="every answer carries X-Correlation-Id: the request's own or a new UUIDv4",
        group=Group.HTTP,
        requirements=("OC-CTRL-2052",),
        play=_correlation,
        causes=("an error or a 204 leaves by another way than the rest", "one id is made for the whole process"),
    ),
    ServiceCheck(
        id="S-HTTP-02",
        title="a correlation id that is too long or has control characters is replaced",
        group=Group.HTTP,
        requirements=("OC-CTRL-2052a",),
        play=_hostile_correlation,
        causes=("the id is cut and not replaced", "the bound is counted in another unit"),
    ),
    ServiceCheck(
        id="S-HTTP-03",
        title="an unknown route is answered with 404 and NOT_FOUND",
        group=Group.HTTP,
        requirements=("OC-CTRL-2004a", "OC-CTRL-2004"),
        play=_unknown_routes,
        causes=("the framework's own 404 page leaves the service",),
    ),
    ServiceCheck(
        id="S-HTTP-04",
        title="an id that nobody knows is answered with 404 and NOT_FOUND",
        group=Group.HTTP,
        requirements=("SSE-1002d", "OC-CTRL-2030"),
        play=_unknown_ids,
        causes=(
            "an id that is no UUID breaks a parser",
            "a cancel of an unknown task is taken for a cancel of an old one",
        ),
    ),
    ServiceCheck(
        id="S-HTTP-05",
        title="the routes that read are served with their status and media type",
        group=Group.HTTP,
        requirements=("OC-CTRL-2004a",),
        play=_routes,
        causes=(
            "a proxy changes the media type",
            "an answer is made by a helper that always says JSON",
        ),
    ),
    ServiceCheck(
        id="S-HTTP-06",
        title="a method that a path does not serve is answered with 405 and Allow",
        group=Group.HTTP,
        requirements=("OC-CTRL-2004c",),
        play=_methods,
        causes=(
            "the framework's own 405 leaves the service, without an envelope",
            "a method that is not known falls through to a 404",
        ),
    ),
    ServiceCheck(
        id="S-HTTP-07",
        title="OPTIONS tells the methods of a path",
        group=Group.HTTP,
        requirements=("OC-CTRL-2004c",),
        play=_options,
        causes=("OPTIONS is answered by a layer for CORS that does not know the routes",),
    ),
    ServiceCheck(
        id="S-HTTP-08",
        title="HEAD is answered as GET is, without the body",
        group=Group.HTTP,
        requirements=("OC-CTRL-2004d",),
        play=_head,
        causes=(
            "HEAD is not routed where GET is",
            "the length of an empty body stands in the head",
        ),
    ),
    ServiceCheck(
        id="S-HTTP-09",
        title="HEAD of a stream reads nothing and cancels nothing",
        group=Group.HTTP,
        requirements=("OC-CTRL-2004d",),
        play=_head_of_a_stream,
        causes=("HEAD attaches a reader, whose leaving cancels the task",),
    ),
)
