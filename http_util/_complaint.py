"""Finding an engine's complaint in JSON, whatever shape its server gives it.

    {"error": {"message", "type", "code", ...}}      llama.cpp, vLLM, OpenAI and its clones
    {"error": "...", "error_type": "..."}            TGI; without the type, Triton
    {"detail": "..."} or {"detail": [{"msg"}, ...]}   FastAPI
    {"object": "error", "message": "...", ...}       older vLLM

An `error` that is null, false or empty is no complaint.

Implements: HTU-1006.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Complaint:
    """What an engine says went wrong; what it does not say is empty, or 0 for the status."""

    message: str = ""
    type: str = ""
    code: str = ""
    status: int = 0


def error_in(payload: object) -> Complaint | None:
    """Return the complaint in a decoded JSON value, or None if it holds none."""
    if not isinstance(payload, Mapping):
        return None
    error = payload.get("error")
    if isinstance(error, Mapping):
        return _of(error) if error else None
    if error:
        return Complaint(message=_text(error), type=_text(payload.get("error_type")))
    if payload.get("object") == "error":
        return _of(payload)
    detail = payload.get("detail")
    return Complaint(message=_detail(detail)) if detail else None


def _of(error: Mapping[object, object]) -> Complaint:
    code = error.get("code")
    return Complaint(
        message=_text(error.get("message")),
        type=_text(error.get("type")),
        code=code if isinstance(code, str) else "",
        status=_status(code) or _status(error.get("http_status_code")),
    )


def _status(value: object) -> int:
    number = (
        int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) == 3 else value
    )
    return number if isinstance(number, int) and 300 <= number < 600 else 0


def _detail(detail: object) -> str:
    if not isinstance(detail, list):
        return _text(detail)
    return "; ".join(_text(item.get("msg")) if isinstance(item, Mapping) else _text(item) for item in detail)


def _text(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)
