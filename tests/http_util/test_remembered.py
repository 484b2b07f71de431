"""Facts that are remembered: asked once for all who wait, forgotten when the engine fails, asked anew after a doubt."""

from __future__ import annotations

import pytest
import trio

from adapter_api import PoolUnavailable
from http_util.remembered import Remembered


class Engine:
    """Answers with a count of the questions after a second, or fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    async def ask(self) -> int:
        self.asked += 1
        await trio.sleep(1)
        if self.fails:
            raise PoolUnavailable("away")
        return self.asked


async def test_many_who_doubt_make_one_call(autojump_clock: trio.testing.MockClock) -> None:
    engine = Engine()
    facts = Remembered(engine.ask)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(facts.known)
    assert (trio.current_time(), engine.asked, facts.value) == (1.0, 1, 1)
    assert await facts.known() == 1
    facts.doubt()
    assert facts.value == 1, "what runs was begun on the process that is known"
    assert await facts.known() == 2


async def test_an_engine_that_does_not_tell_is_unknown(autojump_clock: trio.testing.MockClock) -> None:
    engine = Engine()
    facts = Remembered(engine.ask)
    await facts.learn()
    engine.fails = True
    assert await facts.known() == 1
    with pytest.raises(PoolUnavailable):
        await facts.learn()
    assert facts.value is None


async def test_a_cancelled_question_leaves_the_next_one_free(autojump_clock: trio.testing.MockClock) -> None:
    engine = Engine()
    facts = Remembered(engine.ask)
    with trio.move_on_after(0.5):
        await facts.known()
    assert facts.value is None
    assert await facts.known() == 2
    assert trio.current_time() == 1.5


async def test_a_doubt_holds_for_an_answer_that_is_under_way(autojump_clock: trio.testing.MockClock) -> None:
    """What answers may be the process that the doubt was about."""
    engine = Engine()
    facts = Remembered(engine.ask)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(facts.learn)
        await trio.sleep(0.5)
        facts.doubt()
    assert facts.value == 1
    assert await facts.known() == 2
    assert await facts.known() == 2


@pytest.mark.req("ADAPT-3101g")
async def test_who_waits_with_a_question_that_is_given_up_asks_it_anew_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    engine = Engine()
    facts = Remembered(engine.ask)
    answers: list[int | None] = []

    async def ask() -> None:
        answers.append(await facts.known())

    async with trio.open_nursery() as nursery, trio.open_nursery() as given_up:
        given_up.start_soon(facts.known)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(ask)
        await trio.sleep(0.5)
        given_up.cancel_scope.cancel()
    assert (answers, engine.asked, trio.current_time()) == ([2, 2, 2], 2, 1.5)
