"""What is told of one stream, and which exception leaves it.

Whoever ended the stream, the last note says how, and the breaker learns what that says about the engine.

Implements: AH-1005, ORCH-3602, ORCH-3604.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import trio

from adapter_api import End, Started, Token, WorkerError

from ._notes import Action, note
from ._retry import counts_against_engine
from ._stream import as_worker_error

if TYPE_CHECKING:
    from adapter_api import TaskRequest, TokenEvent

    from ._breaker import Trial
    from ._notes import Observer, Place
    from ._stream import Redact


@final
class Teller:
    """Tells the observer how one stream goes, and the breaker how it went."""

    def __init__(self, observe: Observer, place: Place, request: TaskRequest, trial: Trial) -> None:
        self._observe = observe
        self._place = place
        self._request = request
        self._trial = trial
        self._is_over = False

    def tell(self, action: Action, error: str = "", **fields: str | int | bool | None) -> None:
        """Tell one moment."""
        self._observe(note(action, self._place, self._request, error, **fields))

    def see(self, event: TokenEvent) -> None:
        """Tell what an event of the stream means, if anything."""
        if type(event) is Token:
            self._trial.token()
        elif type(event) is Started:
            self.tell(
                Action.STREAM_START,
                engine_version=event.engine_version,
                model_digest=event.model_digest,
                seed=event.seed,
                tokens_in=event.tokens_in,
            )
        elif type(event) is End:
            self._ended(event)

    def outcome(self, error: BaseException, left: BaseException | None, redact: Redact) -> BaseException:
        """Return the one exception that leaves: `error` came out of the adapter, `left` ended the caller's block.

        The caller's own errors and Cancelled go on as they are, whatever the adapter's clean-up adds to them; that is
        told and goes no further. All else becomes a `WorkerError`.
        """
        foreign = _without_cancelled(error, left)
        if foreign is not None and not isinstance(foreign, Exception):
            return error  # an interrupt of the process is nobody's to translate
        if isinstance(left, WorkerError):
            return self._blamed(self._failed(as_worker_error(left, redact)))
        cancelled = error.subgroup(trio.Cancelled) if isinstance(error, BaseExceptionGroup) else None
        if foreign is None:
            return left or error
        failure = self._failed(as_worker_error(foreign, redact))
        return left or cancelled or self._blamed(failure)

    def close(self) -> None:
        """Tell the cancel of a block that was left before its stream was over."""
        self._trial.dropped()
        if not self._is_over:
            self.tell(Action.CANCEL)

    def _ended(self, end: End) -> None:
        self._is_over = True
        if end.canceled:
            self._trial.dropped()
        else:
            self._trial.succeeded()
        action = Action.CANCEL if end.canceled else Action.STREAM_END
        self.tell(action, tokens_out=end.tokens_out, decode_time_ms=end.decode_time_ms)

    def _failed(self, error: WorkerError) -> WorkerError:
        self._is_over = True
        self.tell(Action.ERROR, error.message, error_kind=error.kind, retry_after_ms=error.retry_after_ms)
        return error

    def _blamed(self, error: WorkerError) -> WorkerError:
        if counts_against_engine(error):
            self._trial.failed((error.retry_after_ms or 0) / 1000)
        else:
            self._trial.dropped()
        return error


def _without_cancelled(error: BaseException, left: BaseException | None) -> BaseException | None:
    """Return what of `error` is neither Cancelled nor `left`."""
    group = error if isinstance(error, BaseExceptionGroup) else BaseExceptionGroup("", [error])
    return group.subgroup(lambda each: not isinstance(each, BaseExceptionGroup | trio.Cancelled) and each is not left)
