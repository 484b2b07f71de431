"""What a check may do to a service: call routes, have tasks admitted, read streams; and where it says what it found.

Every answer and every stream is judged by the rules that hold always. Each task that was admitted is noted, and what is
left of them is cancelled when the check is over. A failed wait is a finding of the check that waited.
"""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, final

import msgspec
import trio

from conformance.canary import Canaries, written
from conformance.findings import Finding, NotTestable, Stop
from conformance.transcript import Transcript

from . import check as ids
from .client import Connection, WireFault
from .judges import ReplyJudge, StreamJudge, against_schema
from .masking import mask_for, shortened
from .stream import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from conformance.transcript import Entry
    from specs import Specification

    from .client import Headers, Reply
    from .target import Facts, Target

_TIDY_S = 10.0
_ACCEPTED = 202
_NO_ROOM = {429, 503}
_COME_AGAIN_S = 1.0
_DECIMALS = 4
"""Of the times in a transcript: what is below is noise."""
CORRELATION = "X-Correlation-Id"
KIT = "kit"
"""Whoever says in a transcript that a rule is broken."""
PROMPT = "Count slowly from one to a thousand, one number a line."


@final
class Visit:
    """One check's stay at a service."""

    def __init__(
        self, check_id: str, target: Target, facts: Facts, spec: Specification, nursery: trio.Nursery, seed: int = 0
    ) -> None:
        self.check_id = check_id
        self.target = target
        self.facts = facts
        self.spec = spec
        self.findings: list[Finding] = []
        self.transcript = Transcript()
        self.canaries = Canaries(seed)
        self._mask = mask_for(target)
        self._own_secrets = written(target.secrets)
        self._nursery = nursery
        self._random = Random(f"{seed} {check_id} {uuid.uuid4()}")  # ids of a shared service may not repeat
        self._replies = ReplyJudge(spec)
        self._admitted: dict[str, None] = {}
        self._streamed: dict[str, None] = {}

    def expect(self, holds: bool, expected: str, actual: object, *, by: str = "") -> bool:
        """State what is expected; return whether it holds. `by` owns the rule, else the check that is played."""
        if not holds:
            self.take([Finding(by or self.check_id, expected, str(actual))])
        return holds

    def take(self, findings: Iterable[Finding]) -> None:
        """Keep what a judge found, masked and then shortened."""
        for each in findings:
            found = Finding(each.check_id, self._told(each.expected), self._told(each.actual))
            self.transcript.mark(self.note(KIT, broken_by(found)))
            self.findings.append(found)

    def note(self, who: str, what: str) -> Entry:
        """Write down what was said on the wire, masked and then shortened."""
        entry = self.transcript.note(who, self._told(what))
        self.transcript.entries[-1] = entry = replace(entry, at_s=round(entry.at_s, _DECIMALS))
        return entry

    def _told(self, text: str) -> str:
        return shortened(self._mask(text))

    def require(self, holds: bool, expected: str, actual: object) -> None:
        """State what is expected and end the play if it does not hold."""
        if not self.expect(holds, expected, actual):
            raise Stop

    def refused(self, reply: Reply, code: str, about: str, *, status: int | None = None) -> bool:
        """Expect an error of that code; `about` says what it answers."""
        wanted = status or self.spec.errors[code].http
        is_it = reply.status == wanted and reply.code == code
        return self.expect(is_it, f"{wanted} {code} for {about}", reply)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        headers: Headers = (),
        correlation: str | None = "",
        token: str | None = "",
        length: int | None = None,
    ) -> Reply:
        """Make one request and judge its answer.

        `correlation` is the id to send: "" for a new one, None for none. `token` is the bearer token: "" for the right
        one, None for none. `body` is bytes or something for JSON. `length` claims a length other than the body's.
        """
        sent_id = f"kit-{self.new_id()}" if correlation == "" else correlation
        reply = await self._send(method, path, body, self._headers(headers, sent_id, token), length)
        self.note("client", f"{method} {path} -> {reply}")
        self.take(self._replies.judge(reply, _echoed(sent_id), has_body=method != "HEAD"))
        self.watch(reply, f"the answer to {method} {path}")
        return reply

    async def pour(self, path: str, beginning: bytes, most_bytes: int) -> Reply:
        """Post a body that does not say how long it is, and judge the answer."""
        sent_id = f"kit-{self.new_id()}"
        async with await self._connect() as connection:
            reply = await connection.pour(
                self.target.prefix + path, self._headers((), sent_id, ""), beginning, most_bytes
            )
        self.note("client", f"POST {path}, poured -> {reply}")
        self.take(self._replies.judge(reply, sent_id))
        return reply

    def watch(self, reply: Reply, sink: str) -> None:
        """Look for canaries in an answer."""
        text = "\n".join(f"{name}: {value}" for name, value in reply.headers) + reply.body.decode("utf-8", "replace")
        if any(form in text for form in self._own_secrets):
            self.expect(False, "no secret in an answer", f"the service's own token in {sink}", by=ids.SECRET)
        sighting = self.canaries.find(text, sink)
        if sighting is not None:
            actual = f"the {sighting.place}, {sighting.form}, in {sink}"
            self.expect(False, "no secret and no prompt in an answer", actual, by=ids.SECRET)

    @property
    def admitted(self) -> list[str]:
        """The ids of the tasks that were admitted, in order."""
        return list(self._admitted)

    def new_id(self) -> str:
        """Return a UUID of this visit's own."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def task(self, **fields: object) -> dict[str, object]:
        """Return the body of a short task; None takes a field away."""
        body: dict[str, object] = {
            "task_id": self.new_id(),
            "session_id": self.new_id(),
            "workload": "completion",
            "model_ref": self.facts.model,
            "engine": self.facts.engine,
            "ctx": self.facts.ctx,
            "priority": "interactive",
            "max_tokens": min(8, self.facts.max_tokens),
            "deadline_ms": 600_000,
            "prompt": PROMPT,
            **fields,
        }
        return {name: value for name, value in body.items() if value is not None}

    def long_task(self, **fields: object) -> dict[str, object]:
        """Return the body of a task that is not over at once."""
        return self.task(**{"max_tokens": self.facts.max_tokens, **fields})

    async def offer(self, body: Mapping[str, object]) -> Reply:
        """Ask for a task; if it is admitted, it is tidied away later."""
        reply = await self.call("POST", "/v1/tasks", body=body)
        if reply.status == _ACCEPTED:
            self._admitted[str(body["task_id"])] = None
            self._judge_admission(reply, body)
        return reply

    async def admit(self, body: Mapping[str, object] | None = None) -> str:
        """Have a task admitted, a short one if no other is given, and return its id."""
        body = self.task() if body is None else body
        reply = await self._offered(body)
        is_taken = reply.status == _ACCEPTED
        self.expect(is_taken, "202 for a task without fault", reply, by=ids.ADMITTED)
        self.need(is_taken, ids.ADMITTED, f"a task without fault is not admitted: {reply}")
        return str(body["task_id"])

    async def _offered(self, body: Mapping[str, object]) -> Reply:
        """Offer a task, again and again while there is no room for it."""
        try:
            reply = await self.offer(body)
            with trio.move_on_after(self.target.patience_s):
                while reply.status in _NO_ROOM:
                    await trio.sleep(_COME_AGAIN_S)
                    reply = await self.offer(body)
        except WireFault as fault:
            self.need(False, ids.ADMITTED, f"a task without fault is not answered: {fault}")
            raise
        if reply.status in _NO_ROOM:
            raise NotTestable(f"in {self.target.patience_s:g} s there was no room for a task: {reply}")
        return reply

    def need(self, holds: bool, owner: str, why: str) -> None:
        """End the play if what it needs does not hold; for the check that owns that it is no excuse."""
        if holds:
            return
        if self.check_id == owner:
            raise Stop
        raise NotTestable(self._told(f"{why} ({owner})"))

    async def cancel(self, task_id: str, *, by_delete: bool = False) -> Reply:
        """Cancel a task."""
        method, path = ("DELETE", "") if by_delete else ("POST", "/cancel")
        return await self.call(method, f"/v1/tasks/{task_id}{path}")

    async def cancel_all(self, task_ids: Iterable[str]) -> None:
        """Cancel tasks, so that their slots are free for what comes next."""
        for task_id in task_ids:
            await self.cancel(task_id)

    @asynccontextmanager
    async def stream(self, task_id: str, *, after: int | None = None) -> AsyncIterator[Reading]:
        """Read a task's stream from another task; leaving the block goes away."""
        headers = () if after is None else (("Last-Event-ID", str(after)),)
        sent_id = f"kit-{self.new_id()}"
        async with await self._connect() as connection:
            path = f"{self.target.prefix}/v1/tasks/{task_id}/stream"
            await connection.send("GET", path, headers=self._headers(headers, sent_id, ""))
            head = await self._opened(connection, task_id)
            resumed = f" after id {after}" if after else ""
            self.note("client", f"GET /v1/tasks/{task_id}/stream{resumed} -> {head.status}")
            self.take(self._replies.judge(head, sent_id, has_body=False))
            self.require(head.status == 200, "200 for the stream of a task that was admitted", head)
            judge = StreamJudge(self.spec, after or 0)
            self.take(judge.head(head))
            reading = Reading(connection, judge, self)
            self._nursery.start_soon(reading.pump)
            yield reading
        self.note("client", f"left the stream of {task_id}")

    async def _opened(self, connection: Connection, task_id: str) -> Reply:
        """Wait for the head of a stream; without the first stream of a task nothing can be tried with it."""
        is_first, self._streamed[task_id] = task_id not in self._streamed, None
        try:
            return await connection.head()
        except WireFault as fault:
            if is_first:
                self.expect(False, "an answer to the first reader of a task", fault, by=ids.ORDER)
                self.need(False, ids.ORDER, f"the stream of a task is not answered: {fault}")
            raise

    async def complete(self, body: Mapping[str, object] | None = None) -> Reading:
        """Have a task admitted and read its stream to its end, which an ordinary task has to come to."""
        return await self.finish(await self.admit(body))

    async def finish(self, task_id: str) -> Reading:
        """Read the stream of an ordinary task to its end; without one, the play ends as not to be tried."""
        async with self.stream(task_id) as reading:
            if not await reading.goes_on_to_its_end():
                told = f"`{reading.kinds}`, then {reading.fault or f'nothing for {self.target.patience_s:g} s'}"
                self.expect(False, "an ordinary task that comes to its end", told, by=ids.ENDED)
                self.need(False, ids.ENDED, f"an ordinary task does not come to its end: {told}; see --patience")
        return reading

    async def read(self, task_id: str, *, after: int | None = None) -> Reading:
        """Read a task's stream to its end; that it has none is a finding of the check that is played."""
        async with self.stream(task_id, after=after) as reading:
            await reading.over()
        return reading

    async def tidy(self) -> None:
        """Cancel what was admitted. What goes wrong here is nobody's finding."""
        with trio.move_on_after(_TIDY_S):
            for task_id in self._admitted:
                try:
                    await self._send("DELETE", f"/v1/tasks/{task_id}", None, self._headers((), None, ""), None)
                except WireFault:
                    return

    def _judge_admission(self, reply: Reply, body: Mapping[str, object]) -> None:
        for wrong in against_schema(self.spec, "http", "AdmissionResponse", reply.data):
            self.expect(False, "an answer as its schema has it", wrong, by=ids.ADMITTED)
        told, predicted = reply.fields.get("task_id"), reply.fields.get("predicted_start_ms")
        self.expect(told == body["task_id"], f"task_id {body['task_id']}", told, by=ids.ADMITTED)
        deadline = body["deadline_ms"]
        if isinstance(predicted, int) and isinstance(deadline, int) and predicted > deadline:
            expected = f"DEADLINE_UNMET for a deadline of {deadline} ms"
            self.expect(False, expected, f"admitted, to start in {predicted} ms", by=ids.FEASIBLE)

    def _headers(self, headers: Headers, correlation: str | None, token: str | None) -> list[tuple[str, str]]:
        token = self.target.token if token == "" else token
        sent = list(headers)
        if correlation is not None:
            sent.append((CORRELATION, correlation))
        if token:
            sent.append(("Authorization", f"Bearer {token}"))
        return sent

    async def _connect(self) -> Connection:
        try:
            with trio.fail_after(self.target.patience_s):
                stream = await self.target.dial()
        except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
            cause = error.__cause__ if isinstance(error, trio.BrokenResourceError) else error
            why = str(cause) or type(cause).__name__
            raise WireFault(f"no connection: {why}") from None
        return Connection(stream, self.target.authority, self.target.patience_s)

    async def _send(self, method: str, path: str, body: object, headers: Headers, length: int | None) -> Reply:
        encoded = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        async with await self._connect() as connection:
            try:
                await connection.send(method, self.target.prefix + path, headers=headers, body=encoded, length=length)
                return await connection.reply()
            except WireFault as fault:
                self.note("client", f"{method} {path} -> {fault}")
                raise


def _echoed(sent_id: str | None) -> str | None:
    """Return the id if it is one that has to be echoed."""
    return sent_id if sent_id and len(sent_id) <= 128 and sent_id.isprintable() else None


def broken_by(finding: Finding) -> str:
    """Return what the transcript says where a rule was seen broken: it begins with the id of the check."""
    return f"{finding.check_id} is broken: expected {finding.expected}"
