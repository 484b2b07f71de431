"""What is admitted and what is refused, and with which words. The envelopes of errors are judged along the way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.check import Level
from conformance.findings import NotApplicable
from conformance.service.check import ADMITTED, ENVELOPE, RETRIABLE, STATUS, Group, ServiceCheck

if TYPE_CHECKING:
    from conformance.service.visit import Visit

_MALFORMED = (b"", b"{", b"[]", b'"x"', b"null", b"{'a': 1}", b"\xff\xfe", b'{"a":1}{"b":2}', b"[" * 5000)
_WRONG = {
    "task_id": (17, "not-a-uuid", ""),
    "session_id": (None, "not-a-uuid"),
    "workload": ("poetry", 1),
    "model_ref": ("", 3),
    "ctx": (0, -1, "2048", 1.5),
    "priority": ("urgent", 0),
    "max_tokens": (0, -5, "many", True),
    "deadline_ms": (0, -1, "soon"),
    "seed": ("seven", 2**63, 1.5),
    "sampling": ([], {"temperature": "hot"}),
    "messages": ("hello", [{"role": "user"}]),
    "placement": ({"mode": "guess"},),
}
_HUGE_BYTES = 2**31
_POURED_BYTES = 2**25
"""Eight times the limit that a service has unless it is configured otherwise."""
_MISSPELLED = {"max_token": "max_tokens", "promt": "prompt", "prioritty": "priority"}


async def _admits(visit: Visit) -> None:
    await visit.complete()
    await visit.complete(visit.task(prompt=None))
    await visit.complete(visit.task(prompt=None, messages=[{"role": "user", "content": "Count."}]))


async def _malformed(visit: Visit) -> None:
    for body in _MALFORMED:
        visit.refused(await visit.call("POST", "/v1/tasks", body=body), "INVALID_PARAMS", f"the body {body[:20]!r}")
    visit.refused(await visit.call("POST", "/v1/tasks"), "INVALID_PARAMS", "no body")


async def _wrong_fields(visit: Visit) -> None:
    for name, values in _WRONG.items():
        for value in values:
            body = {**visit.task(), name: value}
            if name == "messages":
                del body["prompt"]
            await _refused_by_name(visit, body, name, f"{name} = {value!r}")
    for name in ("task_id", "model_ref", "engine", "ctx", "max_tokens", "deadline_ms"):
        await _refused_by_name(visit, visit.task(**{name: None}), name, f"no {name}")


async def _refused_by_name(visit: Visit, body: dict[str, object], name: str, about: str) -> None:
    reply = await visit.offer(body)
    if visit.refused(reply, "INVALID_PARAMS", about):
        message = str(reply.fields.get("message"))
        visit.expect(name in message, f"a message that names {name}", message)


async def _unknown_fields(visit: Visit) -> None:
    await _refused_by_name(visit, visit.task(colour="red"), "colour", "an unknown field")
    await _refused_by_name(visit, visit.task(sampling={"heat": 1}), "heat", "an unknown field of sampling")


async def _suggests(visit: Visit) -> None:
    for wrong, meant in _MISSPELLED.items():
        reply = await visit.offer({**visit.task(), wrong: 1})
        told = f"{reply.fields.get('message')} {reply.fields.get('hint')}"
        visit.expect(re.search(rf"\b{meant}\b", told) is not None, f"{meant} as what was meant by {wrong}", told)


async def _two_prompts(visit: Visit) -> None:
    body = visit.task(messages=[{"role": "user", "content": "Count."}])
    visit.refused(await visit.offer(body), "INVALID_PARAMS", "prompt and messages together")


async def _same_id(visit: Visit) -> None:
    body = visit.task()
    first = await visit.offer(body)
    visit.require(first.status == 202, "202 for a task without fault", first)
    second = await visit.offer(body)
    visit.expect(second.status == 202 and second.data == first.data, f"the same answer as before: {first}", second)
    other = await visit.offer({**body, "max_tokens": 3})
    visit.refused(other, "INVALID_PARAMS", "the same task_id with another body")
    await visit.finish(str(body["task_id"]))
    after = await visit.offer(body)
    is_same = after.status == 202 and after.data == first.data
    visit.expect(is_same, f"the same answer when the task is over: {first}", after)


async def _oversized(visit: Visit) -> None:
    reply = await visit.call("POST", "/v1/tasks", body=b'{"prompt": "' + b"x" * 2000, length=_HUGE_BYTES)
    visit.refused(reply, "INVALID_PARAMS", f"a body of {_HUGE_BYTES} bytes of which 2 KB were sent", status=413)


async def _poured(visit: Visit) -> None:
    reply = await visit.pour("/v1/tasks", b'{"prompt": "', _POURED_BYTES)
    visit.refused(reply, "INVALID_PARAMS", f"a body of {_POURED_BYTES} bytes that came without a length", status=413)


async def _too_large_for_the_pool(visit: Visit) -> None:
    if visit.facts.ctx_max is None:
        raise NotApplicable("the capabilities tell no ctx_max for the pool")
    reply = await visit.offer(visit.task(ctx=visit.facts.ctx_max + 1))
    is_refused = visit.expect(400 <= reply.status < 600, "an error for a ctx beyond the pool's", reply)
    visit.expect(not is_refused or bool(reply.code), "an error with a code", reply)
    if visit.facts.max_tokens_out is not None:
        most = visit.facts.max_tokens_out
        long = await visit.offer(visit.task(max_tokens=most + 1, ctx=visit.facts.ctx_max))
        visit.expect(400 <= long.status < 600, f"an error for more than {most} tokens", long)


async def _output_mode(visit: Visit) -> None:
    reply = await visit.offer(visit.task(output_mode="interpretive-dance"))
    visit.expect(reply.status == 202, "202 for a task whose output_mode nobody knows", reply)


async def _unknown_pin(visit: Visit) -> None:
    for _ in range(2):
        body = visit.task(placement={"mode": "pin", "pin_pool_id": "no-such-pool"})
        visit.refused(await visit.offer(body), "INVALID_PARAMS", "a pin of an unknown pool")
    if visit.facts.pool_id:
        pin = {"mode": "pin", "pin_pool_id": visit.facts.pool_id}
        other = next(each for each in visit.spec.engines if each != visit.facts.engine)
        reply = await visit.offer(visit.task(engine=other, placement=pin))
        visit.refused(reply, "INVALID_PARAMS", f"a pin of {visit.facts.pool_id}, which does not run {other}")


async def _pinned(visit: Visit) -> None:
    pools = [pool_id for pool_id in (visit.facts.pool_id,) if pool_id]
    if not pools:
        raise NotApplicable("the capabilities name no pool")
    for pool_id in pools:
        reading = await visit.complete(visit.task(placement={"mode": "pin", "pin_pool_id": pool_id}))
        told = reading.frames[0].data.get("pool_id")
        if told is None:
            raise NotApplicable("`started` does not tell the pool")
        visit.expect(told == pool_id, f"pool_id {pool_id} in `started` of a task that pins it", told)


async def _unknown_model(visit: Visit) -> None:
    reply = await visit.offer(visit.task(model_ref="file:/no/such/model.gguf"))
    visit.refused(reply, "POOL_UNAVAILABLE", "a model that no pool answers to")


async def _errors(visit: Visit) -> None:
    await visit.call("GET", "/v1/no-such-thing")
    await visit.call("POST", "/v1/tasks", body=b"{")
    await visit.call("POST", "/v1/tasks", body={})
    await visit.offer(visit.task(model_ref="file:/no/such/model.gguf"))
    await visit.call("GET", "/v1/tasks/x/stream")
    await visit.call("PUT", "/livez")


CHECKS = (
    ServiceCheck(
        id=ENVELOPE,
        title="every error is an envelope with a code of the table",
        group=Group.ERRORS,
        requirements=("OC-CTRL-2030", "OC-CTRL-2030b", "OC-CTRL-2034"),
        play=_errors,
        causes=("the framework answers some errors itself",),
    ),
    ServiceCheck(
        id=STATUS,
        title="an error has the status that the table gives to its code",
        group=Group.ERRORS,
        requirements=("OC-CTRL-2030a",),
        play=_errors,
        causes=(
            "the status is chosen where the error is raised, not where it is written",
            "a proxy turns a status into its own",
        ),
    ),
    ServiceCheck(
        id=RETRIABLE,
        title="an error says whether it is worth another try, as the table has it",
        group=Group.ERRORS,
        requirements=("OC-CTRL-2032",),
        play=_errors,
        causes=("the field is left out where it is false",),
    ),
    ServiceCheck(
        id=ADMITTED,
        title="a task is admitted with 202 and its place in the queue",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2050", "OC-CTRL-2063"),
        play=_admits,
        causes=(
            "a body of its own instead of the request's ids",
            "a field that is null instead of absent",
        ),
    ),
    ServiceCheck(
        id="S-ADM-02",
        title="a body that is no JSON object is refused",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010a",),
        play=_malformed,
        causes=("a parser's exception leaves as an INTERNAL", "deep nesting exhausts the parser"),
    ),
    ServiceCheck(
        id="S-ADM-03",
        title="a field that is missing, of a wrong type or out of range is refused by name",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010a",),
        play=_wrong_fields,
        causes=("the message says that something is wrong, not what", "true passes as 1, or a text as a number"),
    ),
    ServiceCheck(
        id="S-ADM-04",
        title="an unknown field is refused by name",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010a",),
        play=_unknown_fields,
        causes=("the decoder ignores what it does not know", "only the outer object is strict"),
    ),
    ServiceCheck(
        id="S-ADM-05",
        title="a misspelled field is answered with the one that was meant",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2030c",),
        play=_suggests,
        level=Level.SHOULD,
        causes=("the decoder's message is passed on as it is",),
    ),
    ServiceCheck(
        id="S-ADM-06",
        title="prompt and messages together are refused",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010c",),
        play=_two_prompts,
        causes=(
            "one of them wins silently",
            "`messages` are made a prompt before both are looked at",
        ),
    ),
    ServiceCheck(
        id="S-ADM-07",
        title="a task_id that comes again is answered as before, and refused with another body",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010b",),
        play=_same_id,
        causes=("bodies are not compared", "the answer is computed anew, with another place in the queue"),
    ),
    ServiceCheck(
        id="S-ADM-08",
        title="a body over the limit is answered with 413 at once",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010d", "OC-CTRL-2030a"),
        play=_oversized,
        causes=("the body is read to its end before it is measured",),
    ),
    ServiceCheck(
        id="S-ADM-14",
        title="a body that comes without a length is bounded, too",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010d",),
        play=_poured,
        causes=("the limit is compared with Content-Length only", "the body is kept to its end before it is measured"),
    ),
    ServiceCheck(
        id="S-ADM-09",
        title="a task beyond the pool's context or token limit is refused at admission",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010", "OC-CORE-1012"),
        play=_too_large_for_the_pool,
        causes=(
            "the limit is found when the task starts",
            "the engine's own refusal is waited for",
        ),
    ),
    ServiceCheck(
        id="S-ADM-10",
        title="an unknown output_mode is ignored",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2010f",),
        play=_output_mode,
        causes=("the field is an enumeration in the decoder",),
    ),
    ServiceCheck(
        id="S-ADM-11",
        title="a pin that is unknown or does not fit is refused, the same way every time",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2014",),
        play=_unknown_pin,
        causes=(
            "a pin is taken for a wish",
            "the engine of the pool wins over that of the request",
        ),
    ),
    ServiceCheck(
        id="S-ADM-13",
        title="a task that pins a pool goes there",
        group=Group.ADMISSION,
        requirements=("OC-CTRL-2013",),
        play=_pinned,
        causes=("the pin is checked and then forgotten",),
    ),
    ServiceCheck(
        id="S-ADM-12",
        title="a model that no pool answers to is refused",
        group=Group.ADMISSION,
        requirements=("OC-CORE-1013", "OC-CTRL-2030"),
        play=_unknown_model,
        causes=(
            "the model is looked up when the task starts",
            "any name is passed on to the engine",
        ),
    ),
)
