"""Admits tasks, owns the nursery their runs live in, cancels them, and drains.

Admission is one synchronous stretch: place, guard, seat, start. A task that was answered with 202 is in the nursery.

Implements: OC-CTRL-2010, OC-CTRL-2011, OC-CTRL-2012, OC-CTRL-2050, SSE-1003.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

import trio

from orchestratord.core.placement import Decision, NoPlace, Wanted, decide
from orchestratord.core.queue import QueueFull
from orchestratord.core.task import CancelReason, TaskState
from orchestratord.core.wire import with_profile
from orchestratord.errors import Code, ErrorEnvelope, Refused

from .framelog import FrameLog
from .task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter_api import JsonValue, PoolId, TaskId
    from orchestratord.config import StreamConfig
    from orchestratord.telemetry import Telemetry

    from .framelog import Reader
    from .history import History
    from .pool import Pool
    from .run import Runner
    from .task import Order

CLOSE_S = 5.0
"""How long a drain waits for adapters to let go of canceled tasks, in seconds."""


@final
class Dispatcher:
    """The one place where tasks begin and are told to end."""

    def __init__(
        self,
        *,
        nursery: trio.Nursery,
        pools: Mapping[PoolId, Pool],
        history: History,
        runner: Runner,
        stream: StreamConfig,
        telemetry: Telemetry,
    ) -> None:
        self.pools = pools
        self.draining = False
        self._nursery = nursery
        self._history = history
        self._runner = runner
        self._stream = stream
        self._telemetry = telemetry
        self._idle = trio.Event()
        telemetry.expect(pools.values())

    def admit(self, order: Order) -> Mapping[str, JsonValue]:
        """Take the task in and return the `AdmissionResponse`; raise `Refused` with the reason."""
        known = self._history.get(order.request.task_id, trio.current_time())
        if known is not None:
            return _same_again(known, order)
        try:
            return self._admit(order)
        except Refused as refused:
            is_served = any(pool.config.engine == order.engine for pool in self.pools.values())
            self._telemetry.task_rejected(order, refused.envelope, is_served=is_served)
            raise

    def find(self, task_id: TaskId) -> Task:
        """Return the task; raise `Refused` if there is none under this id."""
        task = self._history.get(task_id, trio.current_time())
        if task is None:
            raise Refused(ErrorEnvelope(code=Code.NOT_FOUND, message=f"no task {task_id}"))
        return task

    def place_of(self, task: Task) -> tuple[int, int]:
        """Return the task's queue position and predicted start in milliseconds."""
        return self.pools[task.pool_id].place_of(task)

    async def cancel(self, task_id: TaskId) -> None:
        """Stop a task; when this returns, the engine's connection is closed and no token of it can leave any more.

        Waits at most `cancel_ack_timeout_ms` for both, then cuts off the connections that are still in a write. A task
        that is over is left alone. Raises `Refused` for an unknown id. Cancelled leaves the task stopped.
        """
        task = self.find(task_id)
        self._stop(task, CancelReason.CLIENT)
        if task.state is not TaskState.CANCELED:
            return
        give_up_at = trio.current_time() + self._stream.cancel_ack_timeout_ms / 1000
        with trio.move_on_at(give_up_at):
            await self._runner.abort(task)
            await task.closed.wait()
        await task.log.wait_written(max(0.0, give_up_at - trio.current_time()))

    def attach(self, task: Task, after: int, cut_off: Callable[[], None]) -> Reader:
        """Let a client read the task's frames after id `after`; a task that was given up for lost goes on."""
        task.scope.deadline = task.deadline_at
        if not task.has_started_frame:
            task.publish_started(*self.place_of(task))
        return task.log.attach(after, cut_off)

    def detach(self, task: Task, reader: Reader) -> None:
        """Note that a client is gone; the last one to go takes the task with it, now or after the resume window."""
        reader.detach()
        if task.state.is_final or task.log.reader_count or not self._stream.cancel_on_disconnect:
            return
        if not self._stream.resume_window_ms:
            self._stop(task, CancelReason.DISCONNECT)
            return
        window_ends_at = trio.current_time() + self._stream.resume_window_ms / 1000
        task.scope.deadline = min(task.deadline_at, window_ends_at)

    async def drain(self, deadline_s: float) -> None:
        """Refuse new work, let what was admitted end, and cancel what has not after `deadline_s` seconds.

        Then waits until the engines' connections are closed, for `CLOSE_S` at most: adapters bound that themselves.
        """
        self.draining = True
        if not self._history.live:
            self._idle.set()
        with trio.move_on_after(deadline_s):
            await self._idle.wait()
        for task in self._history.live:
            self._stop(task, CancelReason.SHUTDOWN)
        with trio.move_on_after(CLOSE_S):
            for task in self._history.live:
                await task.closed.wait()

    def _stop(self, task: Task, reason: CancelReason) -> None:
        """End the task as canceled; one that waits leaves the queue in the same moment."""
        if task.cancel(reason) and task.lease is None:
            self.pools[task.pool_id].leave(task)

    def _admit(self, order: Order) -> Mapping[str, JsonValue]:
        pool = self._place(order)
        order = _with_profile(order, pool)
        predicted_ms = pool.predict(pool.queue.ahead_of(order.priority))
        if predicted_ms >= order.deadline_ms:
            raise Refused(
                ErrorEnvelope(
                    code=Code.DEADLINE_UNMET,
                    message=f"deadline_ms: {order.deadline_ms} is less than the {predicted_ms} ms until a slot is free",
                    pool_id=pool.pool_id,
                    retry_after_ms=predicted_ms,
                )
            )
        task = Task(
            order=order,
            pool_id=pool.pool_id,
            log=FrameLog(ahead=self._stream.channel_cap, max_bytes=self._stream.max_log_bytes),
            admitted_at=trio.current_time(),
            facts=self._facts(order, pool),
            narrates=self._stream.narration,
        )
        self._seat(task, pool)
        return task.admission

    def _place(self, order: Order) -> Pool:
        if self.draining:
            raise Refused(ErrorEnvelope(code=Code.POOL_UNREADY, message="the service is shutting down"))
        request = order.request
        wanted = Wanted(
            engine=order.engine,
            model_ref=request.model_ref,
            workload=request.workload,
            ctx=order.ctx,
            max_tokens=request.max_tokens,
            placement=order.placement,
        )
        decision = decide(wanted, [pool.view(order.priority) for pool in self.pools.values()])
        self._telemetry.placed(order, decision)
        match decision:
            case Decision():
                return self.pools[decision.pool_id]
            case NoPlace():
                raise Refused(
                    ErrorEnvelope(
                        code=decision.code,
                        message=decision.message,
                        hint=decision.hint,
                        engine=order.engine,
                        pool_id=decision.pool_id,
                        retry_after_ms=1000 if decision.code is Code.POOL_UNREADY else decision.retry_after_ms,
                    )
                )

    def _seat(self, task: Task, pool: Pool) -> None:
        verdict = pool.offer(task)
        if isinstance(verdict, QueueFull):
            raise Refused(self._queue_full(pool))
        if verdict.dropped is not None:
            self.find(verdict.dropped).fail(self._queue_full(pool))
        task.admission = {
            "task_id": task.task_id,
            "queue_position": verdict.position,
            "predicted_start_ms": pool.predict(verdict.position),
            "backoff_ms": 0,
        }
        self._history.add(task)
        self._nursery.start_soon(self._execute, task, pool, name=f"task in {pool.pool_id}")
        self._telemetry.task_admitted(task, pool)
        pool.pump()

    async def _execute(self, task: Task, pool: Pool) -> None:
        try:
            await self._runner.execute(task, pool, self._nursery)
        finally:
            self._history.conclude(task)
            if self.draining and not self._history.live:
                self._idle.set()

    def _queue_full(self, pool: Pool) -> ErrorEnvelope:
        policy = pool.queue.policy
        wait_ms = max(1, pool.predict(0))
        self._telemetry.backpressure(pool)
        return ErrorEnvelope(
            code=Code.ADMISSION_REJECT if policy == "reject" else Code.QUEUE_FULL_DROP_LRU,
            message=f"the queue of pool {pool.pool_id} is full ({pool.queue.capacity} tasks wait)",
            engine=pool.config.engine,
            pool_id=pool.pool_id,
            retry_after_ms=wait_ms,
            policy_label=policy.value,
            hint=f"try again in {wait_ms} ms",
        )

    def _facts(self, order: Order, pool: Pool) -> dict[str, JsonValue]:
        request = order.request
        asked: dict[str, JsonValue] = {
            "correlation_id": request.correlation_id,
            "sampler_profile_version": request.sampler_profile_version,
            "seed": request.seed,
        }
        return {**{name: value for name, value in asked.items() if value is not None}, **pool.served.facts()}


def _with_profile(order: Order, pool: Pool) -> Order:
    profiles = {name: profile.sampling() for name, profile in pool.config.sampler_profiles.items()}
    return replace(order, request=with_profile(order.request, pool.config.default_profile, profiles))


def _same_again(known: Task, order: Order) -> Mapping[str, JsonValue]:
    if known.order.digest == order.digest:
        return known.admission
    message = f"task_id: {known.task_id} is taken by a task with another body"
    raise Refused(ErrorEnvelope(code=Code.INVALID_PARAMS, message=message, hint="send a new UUID"))
