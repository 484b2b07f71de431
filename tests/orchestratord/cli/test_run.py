import io

import msgspec
import pytest
import trio

from orchestratord.cli import run as run_module
from orchestratord.cli.frames import JsonView, TextView, View
from orchestratord.cli.parser import parse
from orchestratord.cli.run import run
from orchestratord.cli.start import CommandFailed
from tests.orchestratord.cli.fake_daemon import END, POOL, STARTED, Answer, FakeDaemon, Frame, token


class Screen:
    """What the command printed."""

    def __init__(self) -> None:
        self.out = io.StringIO()
        self.err = io.StringIO()

    def view(self) -> TextView:
        return TextView(self.out, self.err)


async def run_with(daemon: FakeDaemon, view: View, *flags: str, environ: dict[str, str] | None = None) -> int:
    async with daemon.in_memory() as dial:
        try:
            return await run(parse(["run", "Hello", *flags]), environ or {}, view, dial)
        except CommandFailed as error:
            failure = error
    raise failure


async def test_tokens_go_to_standard_output_and_figures_to_standard_error() -> None:
    screen = Screen()
    daemon = FakeDaemon([STARTED, token("Hi"), token(" there", 1), END])
    assert await run_with(daemon, screen.view()) == 0
    assert screen.out.getvalue() == "Hi there\n"
    assert screen.err.getvalue() == "[2 tokens in 0.1 s, 20 tokens/s, stop]\n"
    assert daemon.cancels == 0


async def test_what_the_contract_requires_is_filled_in_from_what_the_daemon_serves() -> None:
    daemon = FakeDaemon()
    await run_with(daemon, Screen().view(), "--seed", "7", "--temperature", "0", "--max-tokens", "5", "--chat")
    (task,) = daemon.tasks
    assert (task["engine"], task["ctx"], task["model_ref"]) == ("llamacpp", 4096, "default")
    assert (task["seed"], task["sampling"], task["max_tokens"]) == (7, {"temperature": 0.0}, 5)
    assert task["messages"] == [{"role": "user", "content": "Hello"}]
    assert "prompt" not in task
    assert daemon.calls[2] == f"GET /v1/tasks/{task['task_id']}/stream"


async def test_flags_win_over_what_the_daemon_says() -> None:
    daemon = FakeDaemon(pools=[POOL, {**POOL, "engine": "mock", "models": ["m"]}])
    await run_with(daemon, Screen().view(), "--engine", "mock", "--model", "m", "--ctx", "64")
    assert (daemon.tasks[0]["engine"], daemon.tasks[0]["ctx"]) == ("mock", 64)


async def test_an_engine_alone_means_its_first_pool() -> None:
    daemon = FakeDaemon(pools=[POOL, {**POOL, "engine": "mock", "models": ["m", "n"]}])
    await run_with(daemon, Screen().view(), "--engine", "mock")
    assert (daemon.tasks[0]["engine"], daemon.tasks[0]["model_ref"]) == ("mock", "m")


async def test_an_engine_that_nobody_has_is_told_with_those_that_are_there() -> None:
    with pytest.raises(CommandFailed, match=r"no pool has the engine 'vlm'\. Served here: llamacpp"):
        await run_with(FakeDaemon(), Screen().view(), "--engine", "vlm")


async def test_a_model_that_nobody_serves_is_told_with_those_that_are() -> None:
    with pytest.raises(CommandFailed, match=r"no pool serves the model 'x'. Served here: default \(llamacpp\), m"):
        await run_with(FakeDaemon(), Screen().view(), "--model", "x")


@pytest.mark.req("AUTH-1001")
async def test_the_token_is_sent_and_never_printed() -> None:
    daemon, screen = FakeDaemon([STARTED, token("Hi"), END]), Screen()
    await run_with(daemon, screen.view(), "--token-env", "T", environ={"T": "t0k3n"})
    assert {headers["authorization"] for headers in daemon.headers} == {"Bearer t0k3n"}
    assert "t0k3n" not in screen.out.getvalue() + screen.err.getvalue()


async def test_the_place_in_the_queue_is_shown_when_it_changes() -> None:
    def place(position: int, start_ms: int) -> dict[str, object]:
        return {"queue_position": position, "predicted_start_ms": start_ms}

    moves: list[Frame] = [("metrics", place(2, 1500)), ("metrics", place(2, 1500)), ("metrics", {"queue_depth": 1})]
    screen = Screen()
    await run_with(FakeDaemon([("started", place(3, 2500)), *moves, token("x"), END]), screen.view())
    assert screen.err.getvalue().splitlines()[:-1] == [
        "waiting: position 3 in the queue, about 2.5 s",
        "waiting: position 2 in the queue, about 1.5 s",
    ]


async def test_json_prints_every_frame_as_it_is() -> None:
    out = io.StringIO()
    narration: Frame = ("narration", {"human": "starts\nsays \u2028 so"})
    assert await run_with(FakeDaemon([STARTED, narration, token("\u00e9\u2028"), END]), JsonView(out), "--json") == 0
    lines = [msgspec.json.decode(line) for line in out.getvalue().split("\n")[:-1]]
    assert [line["event"] for line in lines] == ["started", "narration", "token", "end"]
    assert lines[2] == {"event": "token", "id": "2", "data": {"t": "\u00e9\u2028", "i": 0}}


@pytest.mark.req("OC-CTRL-2011", "OC-CTRL-2030")
async def test_a_refusal_shows_code_message_hint_and_when_to_come_back() -> None:
    envelope = {"code": "ADMISSION_REJECT", "message": "the queue is full", "retry_after_ms": 1200, "hint": "wait"}
    daemon = FakeDaemon(refusals={"/v1/tasks": Answer(429, envelope)})
    with pytest.raises(CommandFailed) as raised:
        await run_with(daemon, Screen().view())
    assert str(raised.value) == "ADMISSION_REJECT: the queue is full\n  wait\n  try again in 2 s"
    assert daemon.calls == ["GET /v1/capabilities", "POST /v1/tasks"]


@pytest.mark.req("OC-CTRL-2028")
async def test_an_error_frame_fails_the_command() -> None:
    failure: Frame = ("error", {"code": "WORKER_RESET", "message": "the engine went away", "retriable": True})
    screen = Screen()
    daemon = FakeDaemon([STARTED, token("half"), failure])
    with pytest.raises(CommandFailed, match="WORKER_RESET: the engine went away"):
        await run_with(daemon, screen.view())
    assert screen.out.getvalue() == "half\n"
    assert daemon.cancels == 0


async def test_a_stream_without_its_last_frame_is_a_failure_and_cancels() -> None:
    daemon = FakeDaemon([STARTED, token("half")])
    with pytest.raises(CommandFailed, match="ended without its last frame"):
        await run_with(daemon, Screen().view())
    assert daemon.cancels == 1


async def test_a_task_that_someone_else_cancels_is_a_failure() -> None:
    with pytest.raises(CommandFailed, match="the task was cancelled"):
        await run_with(FakeDaemon([STARTED, ("end", {**END[1], "canceled": True})]), Screen().view())


async def test_a_server_that_does_not_keep_the_deadline_is_left_and_told(
    autojump_clock: trio.testing.MockClock,
) -> None:
    daemon = FakeDaemon([STARTED, token("x")], holds=True)
    with pytest.raises(CommandFailed, match="did not end the task at its deadline"):
        await run_with(daemon, Screen().view(), "--deadline-ms", "1000")
    assert daemon.cancels == 1
    assert trio.current_time() == pytest.approx(11)


async def test_a_cancel_that_is_not_answered_does_not_hold_the_exit_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    daemon = FakeDaemon([STARTED, token("x")], holds=True, is_deaf_to_cancel=True)
    with pytest.raises(CommandFailed):
        await run_with(daemon, Screen().view(), "--deadline-ms", "1000")
    assert trio.current_time() == pytest.approx(11 + run_module.CANCEL_BOUND_S)


@pytest.mark.parametrize(
    ("frame", "told"),
    [(("token", {"i": 0}), "not the protocol"), (("end", {}), "not the protocol")],
)
async def test_a_frame_that_breaks_the_protocol_fails_and_cancels(frame: Frame, told: str) -> None:
    daemon = FakeDaemon([STARTED, frame], holds=True)
    with pytest.raises(CommandFailed, match=told):
        await run_with(daemon, Screen().view())
    assert daemon.cancels == 1


async def test_another_service_at_the_address_is_recognised() -> None:
    daemon = FakeDaemon(refusals={"/v1": Answer(404, text="<h1>nginx</h1>")})
    with pytest.raises(CommandFailed, match="answers 404, but not as orchestratord does"):
        await run_with(daemon, Screen().view())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1", "no daemon answers at http://127.0.0.1:1. Start a daemon with `orchestratord up`"),
        ("127.0.0.1:1", "not a URL like"),
        ("ftp://127.0.0.1", "not a URL like"),
        ("http://u:c4n4ry@127.0.0.1:1", r"no daemon answers at http://127\.0\.0\.1:1\."),
    ],
)
async def test_an_address_where_nobody_answers_says_how_to_start_one(url: str, told: str) -> None:
    with pytest.raises(CommandFailed, match=told) as raised:
        await run(parse(["run", "Hello", "--url", url]), {}, Screen().view())
    assert "c4n4ry" not in str(raised.value)


async def test_the_environment_can_name_the_daemon() -> None:
    with pytest.raises(CommandFailed, match=r"no daemon answers at http://127\.0\.0\.1:2\."):
        await run(parse(["run", "Hello"]), {"ORCHD_URL": "http://127.0.0.1:2"}, Screen().view())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_a_model_cannot_move_the_cursor_of_a_terminal() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    text = "a\x1b[2Jb\x9bc\td\n"
    await run_with(FakeDaemon([STARTED, token(text), END]), TextView(terminal, io.StringIO()))
    await run_with(FakeDaemon([STARTED, token(text), END]), TextView(pipe, io.StringIO()))
    assert terminal.getvalue() == "a\ufffd[2Jb\ufffdc\td\n"
    assert pipe.getvalue() == text
