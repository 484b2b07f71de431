"""Seats are given in order of arrival, never more than there are, and all come back."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from conformance.engines.double import Facts
from conformance.engines.seats import Full, Seats

VISITS = st.lists(st.tuples(st.integers(0, 6), st.integers(1, 6), st.booleans()), max_size=12)


@given(visits=VISITS, count=st.integers(1, 3))
def test_no_more_work_than_there_are_seats_and_the_first_come_first(
    visits: list[tuple[int, int, bool]], count: int
) -> None:
    facts, began = Facts(), []

    async def visit(seats: Seats, number: int, arrives_s: int, stays_s: int, gives_up: bool) -> None:
        await trio.sleep(arrives_s + number / 1024)
        seats.admit(number)
        with trio.move_on_after(1 if gives_up else stays_s + 1000):
            await seats.take(number)
            began.append((arrives_s, number))
            assert seats.running <= count
            await trio.sleep(stays_s)
        seats.leave(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            seats = Seats(count, facts, nursery)
            for number, (arrives_s, stays_s, gives_up) in enumerate(visits):
                nursery.start_soon(visit, seats, number, arrives_s, stays_s, gives_up)
            await trio.sleep(0.5)
            assert facts.live == seats.running + seats.waiting
        assert (seats.running, seats.waiting, facts.live) == (0, 0, 0)

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert began == sorted(began)
    assert {number for _, number in began} >= {n for n, (_, _, gives_up) in enumerate(visits) if not gives_up}


async def test_a_bounded_queue_refuses_the_one_too_many(nursery: trio.Nursery) -> None:
    facts = Facts()
    seats = Seats(1, facts, nursery, max_waiting=1)
    seats.admit("a")
    await seats.take("a")
    seats.admit("b")
    with pytest.raises(Full):
        seats.admit("c")
    assert (seats.running, seats.waiting, facts.live) == (1, 1, 2)
    seats.leave("a")
    seats.admit("c")


async def test_one_that_is_admitted_and_asks_for_no_seat_is_in_nobodys_way(nursery: trio.Nursery) -> None:
    seats = Seats(1, Facts(), nursery)
    seats.admit("still thinking")
    seats.admit("ready")
    await seats.take("ready")
    assert (seats.running, seats.waiting) == (1, 1)


async def test_a_seat_may_be_freed_late_and_only_once(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    facts = Facts()
    seats = Seats(1, facts, nursery)
    seats.admit("a")
    await seats.take("a")
    seats.leave("a", after_s=2)
    seats.admit("b")
    nursery.start_soon(seats.take, "b")
    await trio.sleep(1.5)
    assert (seats.running, seats.waiting, facts.live) == (1, 1, 2)
    await trio.sleep(1)
    seats.leave("a")
    assert (seats.running, seats.waiting, facts.live) == (1, 0, 1)


async def test_a_new_process_knows_nobody(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    facts = Facts()
    seats = Seats(1, facts, nursery)
    for who in ("a", "b"):
        seats.admit(who)
    await seats.take("a")
    seats.leave("a", after_s=2)
    seats.clear()
    assert (seats.running, seats.waiting, facts.live) == (0, 0, 0)
    await trio.sleep(3)
    await wait_all_tasks_blocked()
    assert facts.live == 0
