"""From the JSON of a request to what the service works with: the one place that checks a task's fields.

A wrong body is refused with a message that names the field, what was expected and, for an unknown field, the one that
was probably meant.

Implements: OC-CTRL-2010, OC-CTRL-2030.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapter_api import (
    CorrelationId,
    Determinism,
    Message,
    PoolId,
    Sampling,
    SessionId,
    TaskId,
    TaskRequest,
    Workload,
)
from orchestratord.errors import Code, ErrorEnvelope, Refused

from .placement import Placement, PlacementMode
from .queue import Priority

if TYPE_CHECKING:
    from collections.abc import Mapping

Positive = Annotated[int, Meta(gt=0, lt=2**53)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=512)]


class _Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON object whose unknown fields are refused."""


class MessageBody(_Body, frozen=True):
    """One turn of a chat."""

    role: Annotated[str, Meta(min_length=1, max_length=64)]
    content: str


class SamplingBody(_Body, frozen=True):
    """Sampling parameters that override the pool's profile."""

    temperature: Annotated[float, Meta(ge=0, le=100)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, lt=2**31)] | None = None
    min_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    repeat_penalty: Annotated[float, Meta(ge=0, le=100)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-100, le=100)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-100, le=100)] | None = None
    stop: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(max_length=64)] = []


class PlacementBody(_Body, frozen=True):
    """Where the task may run."""

    mode: PlacementMode = PlacementMode.AUTO
    pin_pool_id: str | None = None
    prefer_pools: list[str] = []
    avoid_pools: list[str] = []
    require_device_mask: str | None = None
    allow_fallback: bool = True


class TaskBody(_Body, frozen=True):
    """The body of `POST /v1/tasks`."""

    task_id: UUID
    session_id: UUID
    workload: Workload
    model_ref: Name
    engine: Name
    ctx: Positive
    priority: Priority
    max_tokens: Positive
    deadline_ms: Positive
    seed: Int64 | None = None
    determinism: Determinism = Determinism.BEST_EFFORT
    sampler_profile_version: Name | None = None
    prompt: str | UnsetType = UNSET
    messages: list[MessageBody] | UnsetType = UNSET
    inputs: list[str] = []
    sampling: SamplingBody = SamplingBody()
    expected_tokens: Positive | None = None
    kv_hint: Literal["reuse", "cold"] | None = None
    output_mode: str | None = None
    placement: PlacementBody = PlacementBody()


_decoder = msgspec.json.Decoder(TaskBody)
_UNKNOWN_FIELD = re.compile(r"unknown field `(?P<name>.*?)`(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_PLACE = re.compile(r"^(?P<what>.*?) - at `\$\.?(?P<path>[^`]*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`(?: - at `\$(?P<path>[^`]*)`)?")
_PLACE_IN_LIST = re.compile(r"\[[^\]]*\]")
_OBJECTS: dict[str, type[_Body]] = {
    "": TaskBody,
    ".sampling": SamplingBody,
    ".placement": PlacementBody,
    ".messages[]": MessageBody,
}


def decode_task(body: bytes) -> TaskBody:
    """Return the checked body; raise `Refused` with a message that names the field."""
    try:
        task = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(_invalid(explain(str(error)))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(_invalid(f"the body is not JSON: {error}")) from None
    _check_workload(task)
    if task.placement.mode is PlacementMode.PIN and task.placement.pin_pool_id is None:
        raise Refused(_invalid("placement.pin_pool_id: missing, and `mode` is `pin`"))
    if task.placement.require_device_mask is not None:
        raise Refused(_invalid("placement.require_device_mask: no pool declares its devices"))
    if task.max_tokens > task.ctx:
        raise Refused(_invalid(f"max_tokens: {task.max_tokens} is more than ctx {task.ctx}"))
    return task


def to_request(task: TaskBody, correlation_id: str) -> TaskRequest:
    """Return what the adapter is asked, before the pool's sampler profile is applied."""
    return TaskRequest(
        task_id=TaskId(str(task.task_id)),
        session_id=SessionId(str(task.session_id)),
        correlation_id=CorrelationId(correlation_id),
        workload=task.workload,
        model_ref=task.model_ref,
        max_tokens=task.max_tokens,
        prompt="" if task.prompt is UNSET else task.prompt,
        messages=() if task.messages is UNSET else tuple(Message(each.role, each.content) for each in task.messages),
        inputs=tuple(task.inputs),
        sampling=_sampling(task.sampling),
        seed=task.seed,
        determinism=task.determinism,
        sampler_profile_version=task.sampler_profile_version,
        reuse_kv=task.kv_hint == "reuse",
    )


def to_placement(task: TaskBody) -> Placement:
    """Return what the caller says about where the task may run."""
    wish = task.placement
    return Placement(
        mode=wish.mode,
        pin_pool_id=None if wish.pin_pool_id is None else PoolId(wish.pin_pool_id),
        prefer_pools=tuple(map(PoolId, wish.prefer_pools)),
        avoid_pools=tuple(map(PoolId, wish.avoid_pools)),
        allow_fallback=wish.allow_fallback,
    )


def with_profile(request: TaskRequest, version: str | None, profiles: Mapping[str, Sampling]) -> TaskRequest:
    """Return the request with the profile's parameters under the caller's own; `version` names the pool's default."""
    name = request.sampler_profile_version or version
    if name is None:
        return request
    if name not in profiles:
        known = ", ".join(profiles) or "none"
        raise Refused(_invalid(f"sampler_profile_version: the pool has no profile {name!r} (profiles: {known})"))
    asked = {
        field: value for field in Sampling.__slots__ if (value := getattr(request.sampling, field)) not in (None, ())
    }
    return replace(request, sampling=replace(profiles[name], **asked), sampler_profile_version=name)


def digest(task: TaskBody) -> bytes:
    """Return what tells one body from another; the order of fields and white space do not."""
    return hashlib.sha256(msgspec.json.encode(task)).digest()


def explain(error: str) -> str:
    """Return msgspec's complaint with the field first and, for an unknown field, the nearest known one."""
    unknown = _UNKNOWN_FIELD.search(error)
    if unknown is not None:
        path, name = unknown["path"] or "", unknown["name"]
        place = _OBJECTS.get(_PLACE_IN_LIST.sub("[]", path))  # none where the name itself reads like a place
        near = [] if place is None else difflib.get_close_matches(name, place.__struct_fields__, n=1)
        meant = f"; did you mean `{near[0]}`?" if near else ""
        return f"{_dotted(path, name)}: unknown field{meant}"
    missing = _MISSING.search(error)
    if missing is not None:
        return f"{_dotted(missing['path'] or '', missing['name'])}: missing"
    placed = _PLACE.match(error)
    if placed is not None:
        return f"{placed['path'] or 'body'}: {placed['what']}"
    return f"body: {error}"


def _dotted(path: str, name: str) -> str:
    return f"{path}.{name}".lstrip(".")


def _invalid(message: str) -> ErrorEnvelope:
    return ErrorEnvelope(code=Code.INVALID_PARAMS, message=message)


def _sampling(body: SamplingBody) -> Sampling:
    fields = {name: getattr(body, name) for name in body.__struct_fields__}
    return Sampling(**{**fields, "stop": tuple(body.stop)})


def _check_workload(task: TaskBody) -> None:
    if task.messages is not UNSET and task.prompt is not UNSET:
        raise Refused(_invalid("messages: not together with `prompt`"))
    if task.workload is Workload.COMPLETION:
        if task.inputs:
            raise Refused(_invalid("inputs: only for the workloads `embedding` and `rerank`"))
        if task.messages is not UNSET and not task.messages:
            raise Refused(_invalid("messages: expected at least one message"))
    elif not task.inputs:
        raise Refused(_invalid(f"inputs: missing, and the workload is `{task.workload}`"))
