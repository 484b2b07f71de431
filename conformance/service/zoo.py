"""A small service that keeps the contract, to be broken: the kit proves on its broken variants that it catches them.

It lives on streams in memory, its engine counts at a steady pace, and each thing it does is a method of its own, so a
variant can do that one thing wrongly. It shares no code with the real service. What is broken is in `broken.py`.
"""

from __future__ import annotations

import re
import uuid
from difflib import get_close_matches
from random import Random
from typing import TYPE_CHECKING

import msgspec
import trio

from .judges import faults_of
from .zoo_line import Line
from .zoo_wire import Answer, Asked, Task, Wire, json_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from specs import Specification

    from .zoo_wire import Send

PACE_S = 1 / 32
SLOTS = 2
CAPACITY = 3
CTX_MAX = 4096
_LABELS = {"engine": "mock", "engine_version": "1", "pool_id": "only", "replica_id": "r0"}
_COUNTED = ("tasks_enqueued_total", "tasks_started_total", "tokens_out_total")
_ID = re.compile(r"[\x20-\x7e]{1,128}")
_ROUTES = {
    r"/v1/tasks": ("POST",),
    r"/v1/tasks/(?P<id>[^/]+)": ("GET", "DELETE"),
    r"/v1/tasks/(?P<id>[^/]+)/stream": ("GET",),
    r"/v1/tasks/(?P<id>[^/]+)/cancel": ("POST",),
    r"/v1/capabilities": ("GET",),
    r"/v1/pools/(?P<id>[^/]+)/health": ("GET",),
    r"/metrics": ("GET",),
    r"/livez": ("GET",),
    r"/readyz": ("GET",),
}


class Service(Line):
    """The reference. `secret` is asked for as a token if there is one; without a reader a task lives for `window_s`."""

    def __init__(self, nursery: trio.Nursery, spec: Specification, secret: str = "", window_s: float = 0.0) -> None:
        self.nursery = nursery
        self.spec = spec
        self.secret = secret
        self.window_s = window_s
        self.tasks: dict[str, Task] = {}
        super().__init__(SLOTS)
        self.counts = dict.fromkeys(_COUNTED, 0)
        self.wire = Wire(self)

    # what is answered

    def correlation(self, asked: Asked) -> str:
        """Return the id that the answer carries."""
        given = asked.headers.get("x-correlation-id", "")
        return given if _ID.fullmatch(given) else str(uuid.uuid4())

    def authorize(self, asked: Asked) -> Answer | None:
        """Return the refusal of a request without the right token."""
        if not self.secret or asked.path in {"/livez", "/readyz"}:
            return None
        given = asked.headers.get("authorization")
        if given is None:
            return self.error("MISSING_TOKEN", "this service needs a token")
        return None if self.is_right(given) else self.error("BAD_TOKEN", "the token is not the right one")

    def is_right(self, authorization: str) -> bool:
        """Whether the header has the token."""
        return authorization == f"Bearer {self.secret}"

    def answer(self, asked: Asked) -> Answer:
        """Answer a request whose body is read."""
        refusal = self.authorize(asked)
        if refusal is not None:
            return refusal
        for pattern, methods in _ROUTES.items():
            match = re.fullmatch(pattern, asked.path)
            if match is not None:
                return self.served(asked, methods, match.groupdict().get("id", ""))
        return self.not_found("no such route")

    def served(self, asked: Asked, methods: tuple[str, ...], id: str) -> Answer:
        """Answer on a path that is there."""
        allow = (("Allow", ", ".join(methods)),)
        if asked.method == "OPTIONS":
            return Answer(204, headers=allow)
        if asked.method == "HEAD" and "GET" in methods:
            return self.head(asked, id)
        if asked.method not in methods:
            return self.error("INVALID_PARAMS", "the method is not served here", status=405, headers=allow)
        if asked.path.startswith("/v1/tasks/"):
            return self.about_task(asked, id)
        if asked.path == "/v1/tasks":
            return self.admit(asked)
        return self.telling(asked.path, id)

    def head(self, asked: Asked, id: str) -> Answer:
        """Answer HEAD: as GET is answered, and no stream is read."""
        got = self.served(Asked("GET", asked.target, asked.headers, 0), ("GET",), id)
        return Answer(got.status, got.body, got.headers)

    def telling(self, path: str, id: str) -> Answer:
        """Answer what the service tells of itself."""
        if path == "/v1/capabilities":
            return json_answer(self.capabilities())
        if path == "/metrics":
            return Answer(200, self.metrics().encode(), (("Content-Type", "text/plain; version=0.0.4"),))
        if path.startswith("/v1/pools/"):
            return json_answer(self.health()) if id == "only" else self.not_found("no such pool")
        return json_answer({"ok": True})

    def about_task(self, asked: Asked, id: str) -> Answer:
        """Answer what concerns one task."""
        task = self.tasks.get(id)
        if task is None:
            return self.not_found("no such task")
        if asked.path.endswith("/stream"):
            return self.open_stream(task, asked.headers.get("last-event-id", "0"))
        if asked.method == "GET":
            return json_answer({"task_id": id, "is_over": task.is_over})
        self.cancel(task)
        return Answer(204)

    def open_stream(self, task: Task, after: str) -> Answer:
        """Answer with a stream."""
        if not after.isdigit():
            return self.error("INVALID_PARAMS", "Last-Event-ID: not the id of a frame")
        return Answer(200, b"", self.stream_headers(), task, int(after))

    def stream_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the head of a stream."""
        return (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))

    def error(
        self, code: str, message: str, status: int = 0, headers: tuple[tuple[str, str], ...] = (), **more: object
    ) -> Answer:
        """Return an error."""
        row = self.spec.errors[code]
        body = {"code": code, "message": message, "retriable": row.retriable, **more}
        return json_answer(body, status or row.http or 500, headers)

    def not_found(self, message: str) -> Answer:
        """Return a 404."""
        return self.error("NOT_FOUND", message)

    def too_large(self) -> Answer:
        """Return a 413."""
        return self.error("INVALID_PARAMS", "body: too large", status=413)

    def no_room(self, wait_ms: int) -> Answer:
        """Return a 429."""
        headers = self.when_to_come(wait_ms)
        return self.error("ADMISSION_REJECT", "full", headers=headers, policy_label="reject", retry_after_ms=wait_ms)

    def when_to_come(self, wait_ms: int) -> tuple[tuple[str, str], ...]:
        """Return the headers of a 429."""
        wait_s = -(-wait_ms // 1000)
        return (("Retry-After", str(wait_s)), ("X-Backoff-Ms", str(wait_ms)), ("X-Backoff-Policy", "reject"))

    def capabilities(self) -> dict[str, object]:
        """Tell what can be asked for."""
        pool = {
            "engine": "mock", "pool_id": "only", "models": ["default", "counter"], "ctx_max": CTX_MAX,
            "supported_workloads": ["completion"], "max_tokens_out": CTX_MAX, "concurrency": SLOTS,
            "rate_limits": {"queue_capacity": CAPACITY}, "features": ["cancel", "seed"],
        }  # fmt: skip
        return {"api_version": "1.0.0", "engines": [pool]}

    def health(self) -> dict[str, object]:
        """Tell how the pool is."""
        return {"live": True, "ready": True, "draining": False, "metrics": {}, "last_error": None, "replicas": []}

    def metrics(self) -> str:
        """Tell the counts."""
        lines = []
        for name, count in self.counts.items():
            labels = self.labels(name)
            told = ",".join(f'{label}="{value}"' for label, value in labels.items())
            lines += [f"# HELP {name} Counted.", f"# TYPE {name} counter", f"{name}{{{told}}} {count}"]
        return "\n".join([*lines, ""])

    def labels(self, name: str) -> dict[str, str]:
        """Return the labels of a metric."""
        return _LABELS if name.startswith("tokens") else {**_LABELS, "priority": "interactive"}

    # what becomes of tasks

    def admit(self, asked: Asked) -> Answer:
        """Admit or refuse a task."""
        try:
            body = msgspec.json.decode(asked.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.error("INVALID_PARAMS", "the body is not JSON")
        fault = self.fault_in(body)
        if fault is not None or not isinstance(body, dict):
            return self.error("INVALID_PARAMS", fault or "the body is no object")
        known = self.tasks.get(str(body["task_id"]))
        if known is not None:
            return self.repeated(known, asked)
        return self.place(body) or self.seat(body, asked)

    def fault_in(self, body: object) -> str | None:
        """Return what is wrong with a task, by the name of its field."""
        faults = faults_of(self.spec, "http", "TaskRequest", body)
        if faults:
            fault = faults[0]
            path = ".".join(str(part) for part in fault.absolute_path)
            told = fault.message if fault.validator in {"required", "additionalProperties"} else "is not allowed"
            if fault.validator == "not":
                return "prompt: not together with messages"
            return f"{path}: {told}{self.meant(fault.message)}" if isinstance(body, dict) else "the body is no object"
        assert isinstance(body, dict)
        wrong = [name for name in ("task_id", "session_id") if not _is_uuid(str(body[name]))]
        return f"{wrong[0]}: no UUID" if wrong else self.too_many(body)

    def too_many(self, body: dict[str, object]) -> str | None:
        """Return what is wrong with the length of the answer."""
        most = min(CTX_MAX, int(str(body["ctx"])))
        return f"max_tokens: more than {most}" if int(str(body["max_tokens"])) > most else None

    def meant(self, message: str) -> str:
        """Return the field that was probably meant."""
        unexpected = re.search(r"\('(\w+)' was unexpected", message)
        fields = ("max_tokens", "prompt", "priority", "deadline_ms", "ctx")
        near = get_close_matches(unexpected[1], fields, n=1) if unexpected else []
        return f"; did you mean {near[0]}?" if near else ""

    def repeated(self, known: Task, asked: Asked) -> Answer:
        """Answer for a task that is known already."""
        if known.digest != asked.body:
            return self.error("INVALID_PARAMS", "task_id: used before with another body")
        return json_answer(known.admission, 202)

    def place(self, body: dict[str, object]) -> Answer | None:
        """Return the refusal of a task that has no place."""
        placement = body.get("placement")
        if isinstance(placement, dict) and placement.get("mode") == "pin":
            if placement.get("pin_pool_id", "only") != "only":
                return self.error("INVALID_PARAMS", "placement.pin_pool_id: no such pool")
            if body["engine"] != "mock":
                return self.error("INVALID_PARAMS", "engine: not that of the pool that is pinned")
        ctx = body["ctx"]
        if body["engine"] != "mock" or body["model_ref"] not in {"default", "counter"} or not _fits(ctx):
            return self.error("POOL_UNAVAILABLE", "no pool can take this")
        if self.waiting >= CAPACITY:
            return self.no_room(1500)
        return None

    def predict(self) -> int:
        """Return in how many milliseconds a task would start that is admitted now."""
        live = sum(not task.is_over for task in self.tasks.values())
        return 1000 * max(0, live - SLOTS + 1)

    def seat(self, body: dict[str, object], asked: Asked) -> Answer:
        """Let a task wait for its turn."""
        predicted, deadline_ms = self.predict(), int(str(body["deadline_ms"]))
        if predicted >= deadline_ms:
            return self.error("DEADLINE_UNMET", "deadline_ms: it cannot be met", retry_after_ms=predicted)
        place = {"queue_position": self.waiting, "predicted_start_ms": predicted}
        admission = {"task_id": body["task_id"], "backoff_ms": 0, **place}
        deadline_at = trio.current_time() + deadline_ms / 1000
        task = Task(body, asked.body, admission, deadline_at, self.correlation(asked))
        self.tasks[str(body["task_id"])] = task
        self.count("tasks_enqueued_total")
        self.begin(task, place)
        self.join(task)
        self.nursery.start_soon(self.run, task)
        return json_answer(admission, 202)

    def count(self, name: str, by: int = 1) -> None:
        """Count."""
        self.counts[name] += by

    def begin(self, task: Task, place: Mapping[str, object]) -> None:
        """Open the task's stream."""
        told = {"engine": "mock", "pool_id": "only", "replica_id": "r0", "correlation_id": task.correlation_id}
        self.emit(task, "started", {**place, **told})

    async def run(self, task: Task) -> None:
        """Wait for a slot and count."""
        with task.scope:
            task.scope.deadline = task.deadline_at
            await task.turn.wait()
            task.is_running = True
            task.began_at = trio.current_time()
            self.count("tasks_started_total")
            await self.decode(task)
        self.leave_queue(task)
        if task.turn.is_set():
            self.give_back()
        self.finish(task)

    async def decode(self, task: Task) -> None:
        """Say one number after another."""
        for index in range(int(str(task.body["max_tokens"]))):
            await trio.sleep(PACE_S)
            self.token(task, index)

    def token(self, task: Task, index: int) -> None:
        """Say a number."""
        if not task.is_over:
            task.tokens += 1
            self.count("tokens_out_total")
            self.emit(task, "token", {"t": self.word(task, index), "i": index})

    def word(self, task: Task, index: int) -> str:
        """Return the text of a token: that of the seed, if there is one."""
        seed = task.body.get("seed")
        return f" {index}" if seed is None else f" {Random(f'{seed} {index}').randrange(1000)}"

    def finish(self, task: Task) -> None:
        """End a task that was not cancelled."""
        if task.is_over:
            return
        if trio.current_time() >= task.deadline_at:
            self.fail(task)
        else:
            self.end(task, {"finish_reason": "length"})

    def fail(self, task: Task) -> None:
        """End a task whose deadline has passed."""
        task.is_over = True
        self.emit(task, "error", {"code": "DEADLINE_UNMET", "message": "the deadline has passed", "retriable": False})

    def end(self, task: Task, why: Mapping[str, object]) -> None:
        """End a task well, or as canceled."""
        task.is_over = True
        took_ms = int(1000 * (trio.current_time() - task.began_at)) if task.is_running else 0
        spent = {"decode_time_ms": took_ms, "decode_ms": took_ms}
        self.emit(task, "end", {"tokens_out": task.tokens, **spent, **why})

    def cancel(self, task: Task) -> None:
        """Stop a task that is not over."""
        if not task.is_over:
            task.is_canceled = True
            self.end(task, {"finish_reason": "canceled", "canceled": True})
            self.leave_queue(task)
            task.scope.cancel()

    def emit(self, task: Task, event: str, data: Mapping[str, object]) -> None:
        """Add a frame."""
        task.frames.append((event, self.frame(len(task.frames) + 1, event, data)))
        task.changed.set()
        task.changed = trio.Event()

    def frame(self, id: int, event: str, data: Mapping[str, object]) -> bytes:
        """Write a frame."""
        return f"id: {id}\nevent: {event}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"

    async def write(self, task: Task, after: int, send: Send) -> None:
        """Write the frames after one, as they come; tokens that a cancel overtook are left out."""
        sent = after
        while not task.is_over or sent < len(task.frames):
            if sent >= len(task.frames):
                await task.changed.wait()
                continue
            event, frame = task.frames[sent]
            sent += 1
            if not (task.is_canceled and event == "token"):
                await send(frame)

    async def left(self, task: Task) -> None:
        """Cancel a task without a reader, after a while."""
        await trio.sleep(self.window_s)
        if not task.readers:
            self.cancel(task)


def _is_uuid(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def _fits(ctx: object) -> bool:
    return isinstance(ctx, int) and ctx <= CTX_MAX
