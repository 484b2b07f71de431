"""The routes of tasks: admit, look, stream, cancel.

Implements: OC-CTRL-2010, OC-CTRL-2011, OC-CTRL-2012, OC-CTRL-2020, SSE-1003.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast
from uuid import UUID

import trio
from quart import Blueprint, Response, g, request

from adapter_api import TaskId
from orchestratord.core.wire import decode_task, digest, to_placement, to_request
from orchestratord.errors import Code, ErrorEnvelope, Refused
from orchestratord.runtime.task import Order

from .replies import json_response
from .stream import SseBody

if TYPE_CHECKING:
    from adapter_api import JsonValue
    from orchestratord.core.wire import TaskBody
    from orchestratord.runtime.task import Task

    from .services import Services

SSE_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
ID_DIGITS = 18
"""A frame's id with more digits than this is past every end; Python refuses to read thousands of them."""


def routes(services: Services) -> Blueprint:
    """Return the blueprint of `/v1/tasks`."""
    blueprint = Blueprint("tasks", __name__)
    dispatcher = services.dispatcher

    @blueprint.post("/v1/tasks")
    async def admit() -> Response:
        task = decode_task(cast("bytes", await request.get_data(as_text=False)))
        return json_response(dispatcher.admit(_order(task)), 202)

    @blueprint.get("/v1/tasks/<task_id>")
    def look(task_id: str) -> Response:
        task = dispatcher.find(_id(task_id))
        return json_response(_state(task, *dispatcher.place_of(task)))

    @blueprint.get("/v1/tasks/<task_id>/stream")
    def stream(task_id: str) -> Response:
        task = dispatcher.find(_id(task_id))
        if request.method == "HEAD":  # no body, and no reader whose leaving would cancel the task
            return Response(b"", headers=SSE_HEADERS)
        return _streamed(task, services)

    @blueprint.post("/v1/tasks/<task_id>/cancel")
    @blueprint.delete("/v1/tasks/<task_id>")
    async def cancel(task_id: str) -> Response:
        await dispatcher.cancel(_id(task_id))
        response = Response(b"", status=204)
        response.headers.pop("Content-Type", None)
        response.headers.pop("Content-Length", None)
        return response

    return blueprint


def _order(task: TaskBody) -> Order:
    return Order(
        request=to_request(task, g.correlation_id),
        engine=task.engine,
        priority=task.priority,
        ctx=task.ctx,
        deadline_ms=task.deadline_ms,
        placement=to_placement(task),
        digest=digest(task),
        identity=g.identity,
    )


def _streamed(task: Task, services: Services) -> Response:
    config = services.config.stream
    response = Response(b"", headers=SSE_HEADERS)
    response.response = SseBody(
        services.dispatcher,
        task,
        after=_last_event_id(request.headers.get("Last-Event-ID")),
        cut_off=request.scope["state"]["connection"].cut_off,
        heartbeat_ms=config.heartbeat_ms,
        window_ms=config.microbatch_ms,
    )
    response.headers.pop("Content-Length", None)
    response.timeout = None  # a stream ends when its task does
    return response


def _id(given: str) -> TaskId:
    """Return a task's id however its UUID is spelled; what is no UUID is nobody's id."""
    try:
        return TaskId(str(UUID(given)))
    except ValueError:
        return TaskId(given)


def _last_event_id(given: str | None) -> int:
    text = (given or "").strip()
    if text and not (text.isascii() and text.isdigit()):
        message = f"Last-Event-ID: expected the id of a frame, got {text[:32]!r}"
        raise Refused(ErrorEnvelope(code=Code.INVALID_PARAMS, message=message))
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= ID_DIGITS else sys.maxsize


def _state(task: Task, queue_position: int, predicted_start_ms: int) -> dict[str, JsonValue]:
    now = trio.current_time()
    age_s = (now if task.ended_at is None else task.ended_at) - task.admitted_at
    fields: dict[str, JsonValue] = {
        "task_id": task.task_id,
        "session_id": task.order.request.session_id,
        "state": task.state.value,
        "engine": task.order.engine,
        "pool_id": task.pool_id,
        "replica_id": None if task.lease is None else task.lease.replica_id,
        "priority": task.order.priority.value,
        "queue_position": queue_position,
        "predicted_start_ms": predicted_start_ms,
        "age_ms": round(1000 * age_s),
        "deadline_ms": task.order.deadline_ms,
        "token_frames": task.tokens,
        "last_event_id": len(task.log.frames),
        "end": None if task.end is None else task.end.data,
        "error": None if task.error is None else task.error.data,
    }
    return {name: value for name, value in fields.items() if value is not None}
