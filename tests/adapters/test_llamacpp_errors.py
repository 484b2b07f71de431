"""Every way in which llama.cpp, or the way to it, fails, and the one error that comes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio

from adapter_api import Message, Token, Workload
from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaSettings
from conformance.engines.script import (
    Accept,
    Answer,
    Cut,
    Die,
    Fail,
    Loading,
    Malformed,
    Overload,
    Pause,
    Reset,
    Script,
    Stall,
    Step,
    Text,
)
from tests.adapters.rig import SECRET, SERVICE_SECRET, open_rig, read, request

if TYPE_CHECKING:
    from trio.testing import MockClock

    from adapter_api import TaskRequest

pytestmark = pytest.mark.req("ADAPT-3002", "HTU-1006", "AH-1005")

OLD_BUILD = LlamaSettings(has_legacy_errors=True)


@dataclass(frozen=True, slots=True)
class Row:
    """A condition and what must come of it; `says` are words of the message, `tokens` what was given before."""

    condition: str
    steps: tuple[Step, ...]
    kind: str
    retriable: bool
    says: tuple[str, ...] = ()
    status: int | None = None
    retry_after_ms: int | None = None
    blames_request: bool = False
    tokens: int = 0
    engine: LlamaSettings = field(default_factory=LlamaSettings)

    def __str__(self) -> str:
        return self.condition


def refusal(
    condition: str, fail: Fail, kind: str, *, retriable: bool = False, blames: bool = False, in_stream: bool = False
) -> Row:
    """Return the row of an error object; it is met on the status line or, after a token, in the stream."""
    steps: tuple[Step, ...] = (Text("a"), fail) if in_stream else (fail,)
    status = 200 if in_stream else fail.status
    says = (f"HTTP {status}", fail.message.partition(SECRET)[0])
    return Row(condition, steps, kind, retriable, says, status, blames_request=blames, tokens=int(in_stream))


def bad(message: str, status: int = 400, kind: str = "invalid_request_error") -> Fail:
    return Fail(status, kind, message)


def dies(message: str) -> Fail:
    return Fail(500, "server_error", message, in_stream=True)


def page(status: int, body: bytes = b"<html>no</html>", **headers: str) -> tuple[Answer]:
    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return (Answer(status, body, "text/html", fields),)


OVER = "request (9 tokens) exceeds the available context size (8 tokens), try increasing it"
PARSE = "[json.exception.parse_error.101] parse error at line 1, column 5: unexpected"
TOO_LARGE = "input (602 tokens) is too large to process. increase the physical batch size"
FULL = "Context size has been exceeded."

ROWS = [
    # on the way to any engine
    Row("closed before the status line", (Cut(clean=False),), "WorkerReset", True),
    Row("reset before the status line", (Reset(),), "WorkerReset", True),
    Row("cut inside the body", (Text("a"), Cut(clean=False)), "WorkerReset", True, tokens=1),
    Row("reset inside the body", (Text("a"), Pause(1), Reset()), "WorkerReset", True, tokens=1),
    Row("cut inside a frame", (Text("a"), Malformed(b'data: {"c'), Cut(clean=False)), "WorkerReset", True, tokens=1),
    Row("clean end, no marker", (Text("a"), Cut(clean=True)), "WorkerReset", True, ("end marker",), tokens=1),
    Row("clean end, nothing at all", (Accept(), Cut(clean=True)), "WorkerReset", True, ("end marker",)),
    Row("a frame that is not JSON", (Text("a"), Malformed(b"data: {nope}\n\n")), "Adapter", False, tokens=1),
    Row("a frame that is no frame", (Malformed(b'data: {"id":1}\n\n'),), "Adapter", False),
    Row("a frame of wrong types", (Malformed(b'data: {"content":1}\n\n'),), "Adapter", False),
    Row("bad UTF-8", (Malformed(b'data: {"content":"\xff"}\n\n'),), "Adapter", False),
    Row("an endless line", (Malformed(b"data: " + b"x" * 1_100_000),), "Adapter", False, ("longer than",)),
    Row("a page with status 200", page(200), "Adapter", False),
    Row("proxy: bad gateway", page(502), "PoolUnavailable", True, ("HTTP 502",), 502),
    Row("proxy: unavailable", page(503, b"", retry_after="3"), "PoolUnavailable", True, ("HTTP 503",), 503, 3000),
    Row("proxy: too many", page(429, b"", retry_after_ms="250"), "PoolUnavailable", True, ("HTTP 429",), 429, 250),
    Row("proxy: timeout", page(504), "DeadlineUnmet", True, ("HTTP 504",), 504),
    # llama.cpp itself
    Row("loading", (Loading(9),), "PoolUnavailable", True, ("HTTP 503", "Loading model"), 503),
    refusal("no slot", bad("no slot available", 503, "unavailable_error"), "PoolUnavailable", retriable=True),
    refusal("prompt too long", bad(OVER, kind="exceed_context_size_error"), "Adapter", blames=True),
    refusal("context full while decoding", dies(FULL), "WorkerReset", retriable=True, in_stream=True),
    refusal("bad field", bad(f"Field 'x': {SECRET} is wrong"), "Adapter", blames=True),
    refusal("damaged JSON", bad(PARSE), "Adapter"),
    refusal("damaged JSON, older build", bad(PARSE, 500, "server_error"), "Adapter"),
    refusal("router: unknown model", bad("model 'x' not found"), "Adapter"),
    refusal("router: model not loaded", bad("model is not loaded"), "PoolUnavailable", retriable=True),
    refusal("unknown path", bad("File Not Found", 404, "not_found_error"), "Adapter"),
    refusal("bad key", bad("Invalid API Key", 401, "authentication_error"), "Adapter"),
    refusal("feature off", bad("This server does not support it", 501, "not_supported_error"), "Adapter"),
    refusal("input above batch", bad(TOO_LARGE, 500, "server_error"), "Adapter", blames=True),
    refusal("compute error", dies("Compute error."), "WorkerReset", retriable=True, in_stream=True),
    refusal("decode failed", dies(f"decode() failed: {SECRET}"), "WorkerReset", retriable=True, in_stream=True),
    refusal("thrown, JSON", bad(f"got {SECRET}", 500, "server_error"), "Internal"),
    Row("thrown, text", page(500, b"std::bad_alloc"), "Internal", False, ("HTTP 500", "bad_alloc"), 500),
    Row("old build: error line", (Text("a"), dies("Compute error.")), "WorkerReset", True, tokens=1, engine=OLD_BUILD,
        says=("Compute error.",), status=200),
    Row("old build: error line, then DONE",
        (Malformed(b'error: {"code":500,"message":"no","type":"server_error"}\n\ndata: [DONE]\n\n'),),
        "WorkerReset", True, ("no",), 200),
    Row("DONE without an end marker", (Text("a"), Malformed(b"data: [DONE]\n\n"), Cut(clean=True)), "WorkerReset", True,
        tokens=1),
    Row("error as a string", (Malformed(b'data: {"error":"boom"}\n\n'),), "WorkerReset", True, ("boom",), 200),
    Row("process died", (Text("a"), Pause(1), Die(down_s=9)), "WorkerReset", True, tokens=1),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_each_condition_has_its_error(row: Row, autojump_clock: MockClock) -> None:
    async with open_rig(Script(row.steps), engine=row.engine) as rig:
        outcome = await read(rig.adapter, request())
        await rig.settle()
        assert (rig.double.facts.live, rig.double.facts.connections) == (0, 0)
    error = outcome.error
    assert error is not None
    assert (error.kind, error.retriable, error.blames_request) == (row.kind, row.retriable, row.blames_request)
    assert (error.upstream_status, error.retry_after_ms) == (row.status, row.retry_after_ms)
    assert error.message.startswith("completion: ")
    assert all(words in error.message for words in row.says), error.message
    assert SECRET not in f"{error!r}{error}"
    assert sum(isinstance(event, Token) for event in outcome.events) == row.tokens
    assert "end" not in outcome.kinds


async def test_a_refused_connection_is_a_pool_without_workers() -> None:
    async with open_rig() as rig:
        rig.double.stop()
        error = (await read(rig.adapter, request())).error
    assert error is not None
    assert (error.kind, error.retriable) == ("PoolUnavailable", True)
    assert "refused" in error.message


async def test_an_unknown_host_is_a_pool_without_workers() -> None:
    async with open_rig(url="http://nowhere.test:8080") as rig:
        error = (await read(rig.adapter, request())).error
    assert error is not None
    assert (error.kind, error.retriable) == ("PoolUnavailable", True)
    assert "nowhere" not in error.message


@pytest.mark.req("HTU-1005")
async def test_connecting_is_bounded(autojump_clock: MockClock) -> None:
    async with open_rig(link=Link(connect_s=3600), timeouts={"connect_ms": 700, "health_ms": 100}) as rig:
        error = (await read(rig.adapter, request())).error
        assert trio.current_time() == pytest.approx(0.8)
    assert error is not None
    assert (error.kind, error.retriable) == ("PoolUnavailable", True)


BOUNDS = {"first_token_ms": 3000, "idle_ms": 1250}
TALKS = (Text("a"), Pause(1), Text("b"), Pause(1), Text("c"))


@pytest.mark.req("HTU-1005", "ADAPT-3005")
@pytest.mark.parametrize(
    ("steps", "kind", "retriable", "at_s"),
    [
        ((Stall(),), "DeadlineUnmet", True, 3.0),
        ((Overload(),), "DeadlineUnmet", True, 3.0),
        ((Pause(2), Accept(), Stall()), "DecodeTimeout", True, 3.0),
        ((Accept(), Stall()), "DecodeTimeout", True, 3.0),
        ((Text("a"), Stall()), "DecodeTimeout", True, 1.25),
        ((*TALKS, Stall()), "DecodeTimeout", True, 3.25),
    ],
)
async def test_silence_is_bounded_to_the_tick(
    steps: tuple[Step, ...], kind: str, retriable: bool, at_s: float, autojump_clock: MockClock
) -> None:
    async with open_rig(Script(steps), timeouts=BOUNDS) as rig:
        error = (await read(rig.adapter, request())).error
        assert trio.current_time() == at_s
        await rig.settle()
        assert (rig.double.facts.live, rig.double.facts.connections) == (0, 0)
    assert error is not None
    assert (error.kind, error.retriable) == (kind, retriable)


@pytest.mark.parametrize("steps", [(Stall(),), (Accept(), Stall()), (*TALKS, Stall()), TALKS * 9])
@pytest.mark.parametrize("bound", ["deadline", "total"])
async def test_the_whole_is_bounded_by_deadline_and_setting(
    steps: tuple[Step, ...], bound: str, autojump_clock: MockClock
) -> None:
    timeouts = {"total_ms": 2125} if bound == "total" else {}
    async with open_rig(Script(steps), timeouts=timeouts) as rig:
        outcome = await read(rig.adapter, request(deadline_ms=2125 if bound == "deadline" else None))
        assert trio.current_time() == 2.125
    assert outcome.error is not None
    assert (outcome.error.kind, outcome.error.retriable) == ("DeadlineUnmet", False)


async def test_a_deadline_counts_the_calls_before_the_stream(autojump_clock: MockClock) -> None:
    task = request("", messages=(Message("user", "hi"),), deadline_ms=1500)
    async with open_rig() as rig:
        rig.double.load(Script.of(Pause(1), Text('{"prompt":"x"}')), path="/apply-template")
        rig.double.load(Script.of(Stall()))
        error = (await read(rig.adapter, task)).error
        assert trio.current_time() == 1.5
        rig.double.load(Script.of(Stall()), path="/apply-template")
        late = (await read(rig.adapter, task)).error
        assert trio.current_time() == 3.0
    for each in (error, late):
        assert each is not None
        assert (each.kind, each.retriable) == ("DeadlineUnmet", False)


CHAT = {"prompt": "", "messages": (Message("user", "hi"),)}
EMBED = {"prompt": "", "workload": Workload.EMBEDDING, "inputs": ("a",)}
RERANK = {"prompt": "q", "workload": Workload.RERANK, "inputs": ("a",)}


@pytest.mark.parametrize(
    ("fields", "path", "phase"),
    [(CHAT, "/apply-template", "template"), (EMBED, "/v1/embeddings", "embedding"), (RERANK, "/rerank", "rerank")],
)
@pytest.mark.parametrize(
    ("steps", "kind", "retriable"),
    [
        ((Fail(501, "not_supported_error", f"off {SECRET}"),), "Adapter", False),
        ((Fail(503, "unavailable_error", "Loading model"),), "PoolUnavailable", True),
        ((Reset(),), "WorkerReset", True),
        ((Accept(), Text("{"), Cut(clean=False)), "WorkerReset", True),
        ((Stall(),), "DeadlineUnmet", True),
        ((Answer(200, b"<html>", "text/html"),), "Adapter", False),
    ],
)
async def test_calls_that_are_no_stream_fail_alike(
    fields: dict[str, object],
    path: str,
    phase: str,
    steps: tuple[Step, ...],
    kind: str,
    retriable: bool,
    autojump_clock: MockClock,
) -> None:
    async with open_rig() as rig:
        rig.double.load(Script(steps), path=path)
        outcome = await read(rig.adapter, task_of(fields))
    error = outcome.error
    assert error is not None
    assert (error.kind, error.retriable) == (kind, retriable)
    assert error.message.startswith(f"{phase}: ")
    assert SECRET not in error.message
    assert outcome.events == []


def task_of(fields: dict[str, object]) -> TaskRequest:
    return request(**fields)  # type: ignore[arg-type]  # tests name any field they like


@pytest.mark.req("HTU-1004")
@pytest.mark.parametrize("steps", [(bad(SERVICE_SECRET),), (Text("a"), dies(SERVICE_SECRET))])
async def test_what_only_the_service_knows_is_masked(steps: tuple[Step, ...]) -> None:
    async with open_rig(Script(steps)) as rig:
        error = (await read(rig.adapter, request())).error
    assert error is not None
    assert error.message.endswith("[masked]")


@pytest.mark.req("HTU-1004")
async def test_the_adapters_own_key_is_masked_even_if_nobody_else_knows_it() -> None:
    key = "plain-looking-key-of-the-engine"
    async with open_rig(Script.of(bad(f"your key {key} is odd")), api_key=key) as rig:
        error = (await read(rig.adapter, request())).error
    assert error is not None
    assert key not in repr(error)


async def test_a_wrong_key_is_told_apart() -> None:
    async with open_rig(engine=LlamaSettings(api_key="right-key-0123"), api_key="wrong-key-0123") as rig:
        outcome = await read(rig.adapter, request())
        health = await rig.adapter.health()
        assert (health.live, health.ready) == (True, True)  # the server's own health route is open
        assert outcome.error is not None
        assert outcome.error.upstream_status == 401
    async with open_rig(engine=LlamaSettings(api_key="right-key-0123"), api_key="right-key-0123") as rig:
        assert (await read(rig.adapter, request(max_tokens=2))).kinds[-1] == "end"
