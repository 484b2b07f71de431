"""What the engine's refusals mean: the tables of `specs/openai.md` and `specs/http-util.md`, copied by hand. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec

from adapter_api import AdapterError, DeadlineUnmet, InternalError, PoolUnavailable, WorkerError, WorkerReset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import AdapterContext

MOST_WORDS = 300
_LONGEST_WAIT_S = 120.0
_SERVER_FAILS = 500
_NOT_IMPLEMENTED = 501

_UNPAID = frozenset({"insufficient_quota", "billing", "credit_balance_exhausted"})
_BUSY = frozenset({"rate_limit_exceeded", "slow_down", "server_is_overloaded", "overloaded_error"})
_OUR_KEY = frozenset({"invalid_api_key", "request_forbidden", "unsupported_country_region_territory"})
_OUR_KEY_STATUSES = frozenset({401, 403})

Headers = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal: its HTTP status, or the one an error in a stream carries; names of its kind; the engine's words."""

    status: int
    names: frozenset[str]
    words: str
    headers: Mapping[str, str]
    is_json: bool = True
    in_stream: bool = False


class Failures:
    """Turns refusals into errors; the context masks what is quoted and knows the date."""

    def __init__(self, context: AdapterContext) -> None:
        self.context = context

    def of_answer(self, status: int, headers: Mapping[str, str], body: bytes) -> WorkerError:
        """Return the error that an answer with this status is."""
        names, words, _ = _read(body)
        is_json = bool(words)
        words = words or _text(body, headers)
        return self.error(Refusal(status=status, names=names, words=words, headers=headers, is_json=is_json))

    def in_stream(self, error: msgspec.Raw) -> WorkerError:
        """Return the error that the field `error` of an event is."""
        names, words, number = _read(b'{"error":' + bytes(error) + b"}")
        return self.error(Refusal(status=number or _SERVER_FAILS, names=names, words=words, headers={}, in_stream=True))

    def error(self, refusal: Refusal) -> WorkerError:
        """Return the error with its message."""
        kind, retriable, blames = self.verdict(refusal)
        retriable = retriable and refusal.headers.get("x-should-retry") != "false"
        return kind(
            self.message(refusal),
            retriable=retriable,
            retry_after_ms=self.retry_after_ms(refusal.headers) if retriable else None,
            upstream_status=None if refusal.in_stream else refusal.status,
            blames_request=blames,
        )

    def message(self, refusal: Refusal) -> str:
        """Return what was being done, the status, and the engine's words: masked first, cut then."""
        where = "reading the answer" if refusal.in_stream else f"asking the engine: HTTP {refusal.status}"
        words = " ".join(self.context.redact(refusal.words).split())[:MOST_WORDS]
        return f"{where}: {words}" if words else where

    def verdict(self, refusal: Refusal) -> tuple[type[WorkerError], bool, bool]:
        """Return (kind, whether to try again, whether the request is to blame)."""
        if refusal.names & _UNPAID:
            return AdapterError, False, False
        if refusal.names & _BUSY:
            return PoolUnavailable, True, False
        if refusal.names & _OUR_KEY or refusal.status in _OUR_KEY_STATUSES:
            return AdapterError, False, False
        if refusal.in_stream and "invalid_request_error" in refusal.names:
            return AdapterError, False, True
        return self.by_status(refusal)

    def by_status(self, refusal: Refusal) -> tuple[type[WorkerError], bool, bool]:
        """Return the same for a refusal that says no more than its status."""
        match refusal.status:
            case 429 | 503 | 529:
                return PoolUnavailable, True, False
            case 502 if not refusal.is_json:
                return PoolUnavailable, True, False
            case 408 | 504:
                return DeadlineUnmet, True, False
            case 424:
                return WorkerReset, True, False
            case 409:
                return InternalError, True, False
            case 400 | 413 | 422:
                return AdapterError, False, True
            case status if status < _SERVER_FAILS or status == _NOT_IMPLEMENTED:
                return AdapterError, False, False
        return (WorkerReset if refusal.in_stream else InternalError), True, False

    def retry_after_ms(self, headers: Mapping[str, str]) -> int | None:
        """Return the engine's advice in whole milliseconds; what makes no sense is none."""
        for wait_s in (_number(headers.get("retry-after-ms"), 1e-3), self.wait_s(headers.get("retry-after"))):
            if wait_s is not None and wait_s >= 0:
                return round(1000 * min(wait_s, _LONGEST_WAIT_S))
        return None

    def wait_s(self, advice: str | None) -> float | None:
        """Return the seconds that a `Retry-After` asks for, be it their number or a date."""
        seconds = _number(advice)
        if seconds is not None or advice is None:
            return seconds
        try:
            return parsedate_to_datetime(advice).timestamp() - self.context.unix_time()
        except ValueError:
            return None


def _number(text: str | None, unit: float = 1.0) -> float | None:
    try:
        return float(text) * unit if text else None
    except ValueError:
        return None


def _read(body: bytes) -> tuple[frozenset[str], str, int]:
    """Return type and code of an error, its words, and the status it carries if there is one."""
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return frozenset(), "", 0
    error = answer.get("error", answer.get("detail")) if isinstance(answer, dict) else None
    if not isinstance(error, dict):
        return frozenset(), error if isinstance(error, str) else "", 0
    names = frozenset(name for name in (error.get("type"), error.get("code")) if isinstance(name, str))
    number = error.get("code")
    return names, str(error.get("message") or ""), number if isinstance(number, int) else 0


def _text(body: bytes, headers: Mapping[str, str]) -> str:
    is_text = headers.get("content-type", "").startswith("text/plain")
    return body.decode(errors="replace") if is_text else ""
