"""With a script: the engine does what it is told, faults included."""

from __future__ import annotations

import pytest
import trio

from adapter_api import (
    AdapterError,
    DeadlineUnmet,
    DecodeTimeout,
    End,
    Failed,
    FinishReason,
    Metrics,
    PoolUnavailable,
    Started,
    Token,
    WorkerError,
    WorkerReset,
)

from .support import Steps, collect, open_mock, request, text_of

STARTED: dict[str, object] = {"do": "started"}


def token(text: str) -> dict[str, object]:
    return {"do": "token", "text": text}


def pause(ms: float) -> dict[str, object]:
    return {"do": "pause", "ms": ms}


@pytest.mark.req("ORCH-3058")
async def test_every_step_is_played_in_order_and_on_time(autojump_clock: trio.abc.Clock) -> None:
    script: Steps = [
        pause(250), STARTED, token("a"), token(""), {"do": "metrics", "values": {"queue_depth": 1}}, pause(500),
        token("b"), {"do": "end", "reason": "length", "tokens_out": 9, "tokens_in": 4},
    ]  # fmt: skip
    start = trio.current_time()
    async with open_mock(script=script) as adapter, adapter.submit(request()) as events:
        seen = [(round(trio.current_time() - start, 3), event) async for event in events]
    assert [event for _, event in seen[1:]] == [
        Token("a", 0),
        Metrics({"queue_depth": 1}),
        Token("b", 1),
        End(tokens_out=9, decode_time_ms=500, finish_reason=FinishReason.LENGTH, tokens_in=4),
    ]
    assert [moment for moment, _ in seen] == [0.25, 0.25, 0.25, 0.75, 0.75]


@pytest.mark.req("ADAPT-3002")
@pytest.mark.parametrize("kind", ["DeadlineUnmet", "PoolUnavailable", "DecodeTimeout", "WorkerReset", "Adapter"])
@pytest.mark.parametrize("as_event", [True, False])
async def test_every_kind_of_error_can_be_raised_or_told(kind: str, as_event: bool) -> None:
    error: dict[str, object] = {
        "do": "error",
        "kind": kind,
        "message": "m",
        "retriable": True,
        "retry_after_ms": 5,
        "as_event": as_event,
    }
    async with open_mock(script=[STARTED, error]) as adapter, adapter.submit(request()) as events:
        assert isinstance(await anext(events), Started)
        try:
            last = await anext(events)
        except WorkerError as exc:
            failure = exc
        else:
            assert isinstance(last, Failed)
            failure = last.error
        assert (failure.kind, failure.message, failure.retriable, failure.retry_after_ms) == (kind, "m", True, 5)
        with pytest.raises(StopAsyncIteration):
            await anext(events)
        assert adapter.facts.live == ()
        assert (await adapter.props()).slots_free == 4


@pytest.mark.req("HTU-1004")
async def test_an_engines_words_are_redacted() -> None:
    error: dict[str, object] = {"do": "error", "message": "bad key hunter2"}
    async with open_mock(script=[error], redact_word="hunter2") as adapter:
        with pytest.raises(WorkerError) as caught:
            await collect(adapter, request())
    assert caught.value.message == "bad key ***"


@pytest.mark.parametrize("script", [[STARTED, token("a")], [STARTED, token("a"), {"do": "reset"}]])
async def test_a_stream_without_an_end_marker_is_a_reset(script: Steps) -> None:
    async with open_mock(script=script) as adapter:
        with pytest.raises(WorkerReset):
            await collect(adapter, request())


@pytest.mark.req("ADAPT-3005")
async def test_silence_is_bounded_and_a_slow_reader_is_not_silence(autojump_clock: trio.abc.Clock) -> None:
    script: Steps = [STARTED, pause(1500), token("a"), pause(900), token("b"), {"do": "stall"}]
    async with open_mock(script=script, first_token_ms=2000, idle_ms=1000) as adapter:
        start = trio.current_time()
        async with adapter.submit(request()) as events:
            for moment in (0.0, 1.5):
                await anext(events)
                assert trio.current_time() - start == moment
            await trio.sleep(10)
            assert text_of([await anext(events)]) == "b"
            with pytest.raises(DecodeTimeout):
                await anext(events)
            assert trio.current_time() - start == pytest.approx(12.5)


async def test_the_first_token_has_a_bound_of_its_own(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(script=[STARTED, {"do": "stall"}], first_token_ms=2000) as adapter:
        with pytest.raises(DecodeTimeout), trio.fail_after(2.5):
            await collect(adapter, request())


async def test_a_wait_in_line_ends_as_an_unmet_deadline(autojump_clock: trio.abc.Clock) -> None:
    async with (
        open_mock(script=[STARTED, {"do": "stall"}], slots=1, first_token_ms=2000) as adapter,
        adapter.submit(request("first")) as first,
    ):
        await anext(first)
        with pytest.raises(DeadlineUnmet):
            await collect(adapter, request("second"))


async def test_each_request_can_have_a_script_of_its_own(autojump_clock: trio.abc.Clock) -> None:
    scripts = [[STARTED, token("one"), {"do": "end"}], [STARTED, token("more"), {"do": "end"}]]
    async with open_mock(scripts=scripts) as adapter:
        assert [text_of(await collect(adapter, request())) for _ in range(3)] == ["one", "more", "more"]


async def test_the_requests_own_deadline_ends_it(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(tokens_per_second=10) as adapter:
        with pytest.raises(DeadlineUnmet) as caught, trio.fail_after(0.3):
            await collect(adapter, request(deadline_ms=250))
        assert not caught.value.retriable


async def test_a_reader_that_is_cut_off_goes_on_where_it_was(autojump_clock: trio.abc.Clock) -> None:
    script: Steps = [STARTED, pause(1000), token("a"), token("b"), {"do": "end"}]
    async with open_mock(script=script) as adapter, adapter.submit(request()) as events:
        await anext(events)
        start = trio.current_time()
        with trio.move_on_after(0.5):
            await anext(events)
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(events)
        assert text_of([event async for event in events]) == "ab"
        assert trio.current_time() - start == 1.0


async def test_loading_refuses_and_says_for_how_long(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(loading_ms=2000) as adapter:
        assert (await adapter.health()).live
        assert not (await adapter.health()).ready
        with pytest.raises(PoolUnavailable) as caught:
            await collect(adapter, request())
        assert caught.value.retry_after_ms == 2000
        await trio.sleep(2)
        assert (await adapter.health()).ready
        assert text_of(await collect(adapter, request()))


async def test_an_engine_that_dies_resets_its_streams_and_can_come_back(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(tokens_per_second=10, loading_ms=500) as adapter:
        await trio.sleep(1)
        async with adapter.submit(request()) as events:
            await anext(events)
            adapter.engine.stop()
            with pytest.raises(WorkerReset):
                await anext(events)
        assert not (await adapter.health()).live
        with pytest.raises(PoolUnavailable):
            await collect(adapter, request())
        adapter.engine.start()
        assert not (await adapter.health()).ready
        await trio.sleep(1)
        assert text_of(await collect(adapter, request()))


async def test_an_id_that_is_under_way_is_refused() -> None:
    async with open_mock() as adapter, adapter.submit(request()):
        with pytest.raises(AdapterError):
            await collect(adapter, request())


async def test_closing_the_adapter_ends_what_is_open(autojump_clock: trio.abc.Clock) -> None:
    async with open_mock(script=[STARTED, {"do": "stall"}]) as adapter:
        pass
    with pytest.raises(PoolUnavailable):
        await collect(adapter, request())
    assert not (await adapter.health()).ready
