"""What an engine's refusal means: an HTTP status and a body, or an error inside a stream, become one `WorkerError`.

Rules are data. An engine passes its own, the common ones come after, and the most telling evidence is asked first: the
error's type or code, then words of its message, then the status. The status of an error inside a stream is the number
that the error carries; a server error there means that the request died on the way, not that it was refused.

The text of an error is the engine's own words, redacted first and shortened then, so that no cut can save half a secret
from its pattern. Retry advice is kept only where a retry makes sense. Nothing here does I/O or reads a clock.

Implements: HTU-1006, AH-1005.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from adapter_api import AdapterError, DeadlineUnmet, InternalError, PoolUnavailable, WorkerError, WorkerReset

from ._complaint import Complaint, error_in
from ._retry_after import MAX_RETRY_AFTER_MS, retry_after_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "COMMON_RULES",
    "MAX_RETRY_AFTER_MS",
    "MAX_WORDS_CHARS",
    "Complaint",
    "EngineReply",
    "ErrorRule",
    "classify",
    "error_in",
    "retry_after_ms",
]

MAX_WORDS_CHARS = 300
"""How much of an engine's own words a message keeps."""


@dataclass(frozen=True, slots=True)
class EngineReply:
    """What the engine answered: `headers` with lower-case names, `phase` what was being done ("health", "completion").

    `status` 200 means that `body` is the data of an event inside a stream.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRule:
    """If everything that is given here fits, the reply means `error`.

    `types` are compared with the error's type and its code, `words` (lower case) are searched in its message,
    `statuses` with the reply's status or, in a stream, the error's own. `in_stream` and `is_opaque` (the body is not
    the engine's JSON but a page, or nothing) narrow a rule; None fits both. With `retriable` None the class decides.
    """

    error: type[WorkerError]
    types: frozenset[str] = frozenset()
    words: str = ""
    statuses: frozenset[int] = frozenset()
    in_stream: bool | None = None
    is_opaque: bool | None = None
    retriable: bool | None = None
    blames_request: bool = False

    @property
    def evidence(self) -> int:
        """How telling the rule's evidence is: 0 type or code, 1 words, 2 status."""
        return 0 if self.types else 1 if self.words else 2


_TRACEBACK = "Traceback (most recent call last):"

COMMON_RULES: tuple[ErrorRule, ...] = (
    ErrorRule(error=PoolUnavailable, statuses=frozenset({429, 503, 529})),
    ErrorRule(error=DeadlineUnmet, statuses=frozenset({408, 504}), retriable=True),
    ErrorRule(error=PoolUnavailable, statuses=frozenset({502}), is_opaque=True),
    ErrorRule(error=WorkerReset, statuses=frozenset({424})),
    ErrorRule(error=InternalError, statuses=frozenset({409}), retriable=True),
    ErrorRule(error=AdapterError, statuses=frozenset({400, 413, 422}), blames_request=True),
    ErrorRule(error=AdapterError, statuses=frozenset({*range(300, 500), 501})),
    ErrorRule(error=WorkerReset, in_stream=True),
    ErrorRule(error=InternalError, statuses=frozenset(range(500, 600))),
    ErrorRule(error=AdapterError),
)
"""The rules for every engine; the last one fits all: an answer that is not the protocol."""


def classify(
    reply: EngineReply, *, rules: Sequence[ErrorRule] = (), redact: Callable[[str], str], now: float
) -> WorkerError:
    """Return the error that `reply` means; `rules` are the engine's own and go first among rules of equal evidence.

    `now` is Unix time in seconds, for a `Retry-After` that is a date.
    """
    complaint = _complaint(reply)
    rule = next(rule for rule in sorted((*rules, *COMMON_RULES), key=_by_evidence) if _fits(rule, reply, complaint))
    error = rule.error(
        f"{reply.phase}: HTTP {reply.status}: {_words(reply, complaint, redact)}",
        retriable=False if reply.headers.get("x-should-retry", "").lower() == "false" else rule.retriable,
        upstream_status=reply.status,
        blames_request=rule.blames_request,
    )
    if error.retriable:
        error.retry_after_ms = retry_after_ms(reply.headers, now)
    return error


def _by_evidence(rule: ErrorRule) -> int:
    return rule.evidence


def _complaint(reply: EngineReply) -> Complaint | None:
    try:
        return error_in(json.loads(reply.body))
    except (ValueError, RecursionError):
        return None


def _fits(rule: ErrorRule, reply: EngineReply, complaint: Complaint | None) -> bool:
    in_stream = reply.status == 200 and complaint is not None
    status = complaint.status if in_stream and complaint is not None else reply.status
    return (
        (not rule.types or (complaint is not None and not rule.types.isdisjoint((complaint.type, complaint.code))))
        and (not rule.words or (complaint is not None and rule.words in complaint.message.lower()))
        and (not rule.statuses or status in rule.statuses)
        and (rule.in_stream is None or rule.in_stream is in_stream)
        and (rule.is_opaque is None or rule.is_opaque is (complaint is None))
    )


def _essence(message: str) -> str:
    """Return the exception's own line of a Python traceback with what stands before it; other texts as they are.

    Frames hold paths of the engine's machine and push the one line that matters out of what a message keeps. An
    embedded interpreter puts them last, after `At:`.
    """
    before, is_traceback, traceback = message.partition(_TRACEBACK)
    if is_traceback:
        lines = [line for line in traceback.splitlines() if line.strip() and not line[:1].isspace()]
        return f"{before} {lines[-1] if lines else ''}".strip()
    return message.partition("\n\nAt:\n")[0]


def _words(reply: EngineReply, complaint: Complaint | None, redact: Callable[[str], str]) -> str:
    text = redact(complaint.message if complaint is not None else reply.body.decode("utf-8", "replace"))
    text = text if complaint is None else _essence(text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MAX_WORDS_CHARS]).split())
    if not text:
        return "empty body" if complaint is None else "no reason given"
    if complaint is None and text.startswith("<"):
        return "an HTML page instead of an answer"
    return text if len(text) <= MAX_WORDS_CHARS else text[: MAX_WORDS_CHARS - 1] + "…"
