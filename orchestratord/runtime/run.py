"""One task's way from the queue to its terminal frame.

A run is one Trio task in the dispatcher's nursery, inside the task's own cancel scope. It waits for its slot, opens the
host's stream, writes each event into the frame log, and gives the slot back when the engine is known to have let go.
Whether a failed try is followed by another is the host's decision; the slot then moves with the task.
Whatever ends it (the engine, the client, the deadline, the shutdown), exactly one terminal frame is written and exactly
one slot or seat is given back.

Implements: SSE-1002, SSE-1003, OC-CTRL-2012, OC-CTRL-2027, OC-CTRL-2028, OC-CORE-1020, OC-CORE-1022, ORCH-3602.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, final

import trio

from adapter_api import End, Metrics, PoolUnavailable, Started, Token, WorkerError
from orchestratord.core.task import CancelReason, TaskState
from orchestratord.errors import INTERNAL_MESSAGE, Code, ErrorEnvelope, envelope_of

from .framelog import LogFull
from .seat import TaskSeat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue, TokenEvent
    from adapter_host import AdapterHost, HostedStream
    from orchestratord.config import StreamConfig
    from orchestratord.telemetry import Telemetry

    from .pool import Pool
    from .replica import Replica
    from .task import Task

RELEASE_LOOKS_S = (0.05, 0.1, 0.2, 0.4, 0.5)
"""Pauses between looks at the engine's slot report after a cancel, in seconds; the last one repeats."""


@final
class Runner:
    """Drives tasks of every pool; it holds no state of its own."""

    def __init__(self, host: AdapterHost, stream: StreamConfig, telemetry: Telemetry) -> None:
        self._host = host
        self._stream = stream
        self._narration_s = stream.narration_period_ms / 1000 if stream.narration else 0.0
        self._telemetry = telemetry

    async def execute(self, task: Task, pool: Pool, releases: trio.Nursery) -> None:
        """Run the task to its end. Cancelled (a shutdown) ends the task as canceled and frees all it held.

        Slots that it has left on the way are freed in `releases`, each when its engine has let go.
        """
        try:
            await self._run_and_tell(task, pool, releases)
            if task.begun and task.lease is not None and not (task.state is TaskState.ENDED or task.is_let_go):
                await self._wait_released(pool, pool.replicas[task.lease.replica_id])
        finally:
            pool.leave(task)

    async def abort(self, task: Task) -> None:
        """Make the engine's own cancel call for a task, where its adapter has one. Bounded by the host."""
        await self._host.abort(task.pool_id, task.task_id)

    async def _run_and_tell(self, task: Task, pool: Pool, releases: trio.Nursery) -> None:
        try:
            await self._run(task, pool, releases)
        finally:
            task.cancel(CancelReason.SHUTDOWN)
            task.closed.set()
            self._telemetry.task_over(task, pool)

    async def _run(self, task: Task, pool: Pool, releases: trio.Nursery) -> None:
        try:
            with task.scope:
                await self._wait_turn(task, pool)
                if task.begin():
                    self._telemetry.task_started(task, pool)
                    task.tell_replica()  # a stream that began in the queue has no replica in its `started`
                    await self._answer(task, pool, releases)
        except Exception as error:  # noqa: BLE001 - one bad run must end as one failed task, not as a dead service
            task.fail(ErrorEnvelope(code=Code.INTERNAL, message=INTERNAL_MESSAGE))
            self._telemetry.unexpected(task.order, error)
        if task.scope.cancelled_caught and not task.state.is_final:
            self._out_of_time(task, pool)

    async def _wait_turn(self, task: Task, pool: Pool) -> None:
        if task.granted.is_set():
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._report_place, task, pool)
            await task.granted.wait()
            nursery.cancel_scope.cancel()

    async def _report_place(self, task: Task, pool: Pool) -> None:
        """Tell attached readers of the waiting task's place when it changes, at a bounded cadence."""
        told: tuple[int, int] | None = None
        while True:
            await pool.wait_change()
            place = pool.place_of(task)
            if task.has_started_frame and task.log.reader_count and place != told:
                told = place
                self._offer_metrics(task, {"queue_position": place[0], "predicted_start_ms": place[1]})
                await trio.sleep(self._stream.metrics_period_ms / 1000)

    async def _answer(self, task: Task, pool: Pool, releases: trio.Nursery) -> None:
        left_ms = round(1000 * (task.deadline_at - trio.current_time()))
        request = replace(task.order.request, deadline_ms=max(1, left_ms))

        def let_go(left: Replica, failure: WorkerError) -> None:
            if _is_engines_word(failure):
                pool.release(task, left)
            else:
                releases.start_soon(self._release, task, pool, left)

        seat = TaskSeat(task, pool, let_go)
        try:
            await self._host.answer(pool.pool_id, request, seat, partial(self._relay, task, pool))
        except WorkerError as error:
            self._failed(task, pool, error)
        except LogFull as error:
            task.fail(ErrorEnvelope(code=Code.INTERNAL, message=f"the answer is too long: {error}"))

    async def _relay(self, task: Task, pool: Pool, events: HostedStream) -> None:
        log = task.log
        async for event in events:
            if log.is_closed:  # canceled while the adapter had more at hand
                return
            if self._narration_s:
                self._narrate_now_and_then(task)
            if type(event) is not Token:
                self._publish(task, pool, event)
                continue
            if task.first_token_at is None:
                self._first_token(task, pool)
            task.publish_token(event.t)
            if not events.at_hand and log.lag >= log.ahead:  # slows the engine down, not what has left it already
                await log.wait_room()

    def _first_token(self, task: Task, pool: Pool) -> None:
        task.first_token_at = trio.current_time()
        self._telemetry.first_token(task, pool)
        if pool.queue and pool.free:  # it was the probe of a breaker, which is closed now
            pool.pump()

    def _publish(self, task: Task, pool: Pool, event: TokenEvent) -> None:
        if type(event) is End:
            task.finish(event)
        elif type(event) is Metrics:
            self._offer_metrics(task, event.data)
        elif type(event) is Started:
            if task.lease is not None:
                pool.replicas[task.lease.replica_id].hear(event.engine_version)
            if news := task.learn(event.data):
                task.publish("metrics", news)
            if task.narrated_at is None:  # and not when another replica starts anew
                self._narrate(task, "start", f"{task.order.engine} starts to answer")

    def _narrate_now_and_then(self, task: Task) -> None:
        now = trio.current_time()
        if task.narrated_at is not None and now - task.narrated_at >= self._narration_s:
            self._narrate(task, "progress", f"{task.order.engine} has given {task.tokens} pieces of text so far")

    def _narrate(self, task: Task, action: str, human: str) -> None:
        task.narrated_at = trio.current_time()
        if not task.narrate(action, human):
            self._telemetry.dropped_frame("narration")

    def _offer_metrics(self, task: Task, data: Mapping[str, JsonValue]) -> None:
        """Write a `metrics` frame, unless readers are behind or the log is full: it is the first thing to go."""
        try:
            if task.log.lag <= task.log.ahead // 2:
                task.publish("metrics", data)
                return
        except LogFull:
            pass
        self._telemetry.dropped_frame("metrics")

    def _failed(self, task: Task, pool: Pool, error: WorkerError) -> None:
        envelope = envelope_of(error, pool.config.engine, pool.pool_id)
        task.is_let_go = _is_engines_word(error)
        if not error.blames_request:  # a client's mistake says nothing about the pool
            pool.last_error = f"{envelope.code}: {error.message}"
            if task.lease is not None:
                pool.replicas[task.lease.replica_id].doubt()
        if error.kind == "Internal":
            self._telemetry.unexpected(task.order, error)
        task.fail(envelope)
        pool.pump()  # the failure may have opened the last breaker, and then nobody waits any longer

    def _out_of_time(self, task: Task, pool: Pool) -> None:
        if trio.current_time() < task.deadline_at:  # then it was the resume window that closed
            task.cancel(CancelReason.DISCONNECT)
            return
        phase = "while the engine was answering" if task.begun else "while it waited for a slot"
        message = f"the deadline of {task.order.deadline_ms} ms passed {phase}"
        engine = pool.config.engine
        task.fail(ErrorEnvelope(code=Code.DEADLINE_UNMET, message=message, engine=engine, pool_id=pool.pool_id))

    async def _release(self, task: Task, pool: Pool, replica: Replica) -> None:
        """Free the slot of a replica that the task has left for another."""
        try:
            await self._wait_released(pool, replica)
        finally:
            pool.release(task, replica)

    async def _wait_released(self, pool: Pool, replica: Replica) -> None:
        """Hold a slot until the engine reports one free for it, at most the pool's grace.

        Engines notice a closed connection late (llama.cpp looks about once a second, and between prompt batches), and
        none tells: looking again at growing intervals is all there is.
        """
        with trio.move_on_after(pool.config.slot_release_grace_ms / 1000):
            for pause_s in chain(RELEASE_LOOKS_S, repeat(RELEASE_LOOKS_S[-1])):
                if await self._is_released(pool, replica):
                    return
                await trio.sleep(pause_s)

    async def _is_released(self, pool: Pool, replica: Replica) -> bool:
        """Whether the engine works on fewer requests than we hold slots for.

        Only slots that were held before the look count: one report must not pass for two releases, and the task that
        got the first slot is not in it yet.
        """
        held = set(replica.busy)
        try:
            props = await self._host.props(pool.pool_id, replica.replica_id)
        except WorkerError:
            return True  # an engine that does not answer holds no slot; the probe finds out the rest
        if props.slots_free is None or props.slots_total is None:
            return False
        return props.slots_total - props.slots_free < len(held & replica.busy.keys())


def _is_engines_word(error: WorkerError) -> bool:
    """Whether the engine itself has ended the request, or never had it: then no slot of it is taken any more."""
    return error.upstream_status is not None or isinstance(error, PoolUnavailable)
