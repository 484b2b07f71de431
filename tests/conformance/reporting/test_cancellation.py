from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from conformance.reporting.cancellation import PHASES, measure
from conformance.subjects import SUBJECTS
from conformance.zoo.subject import ZooSubject
from conformance.zoo.wrapper import Wrapper

from .runs import SPEC

if TYPE_CHECKING:
    from adapter_api import TaskId


class TakesHalfASecond(Wrapper):
    """`cancel` returns half a second after it has done its work."""

    async def cancel(self, task_id: TaskId) -> None:
        await super().cancel(task_id)
        await trio.sleep(0.5)


class NeverCancels(Wrapper):
    """`cancel` does nothing."""

    async def cancel(self, task_id: TaskId) -> None:
        await trio.lowlevel.checkpoint()


def test_the_mock_takes_no_time_in_any_phase() -> None:
    costs = measure(SUBJECTS["mock"], SPEC)
    assert list(costs.phases) == list(PHASES)
    for phase, cost in costs.phases.items():
        assert cost.returned_ms == (None if phase.startswith("by leaving") else 0)
        assert (cost.left_ms, cost.released_ms) == (0, 0)


def test_a_slow_cancel_is_seen_to_be_slow() -> None:
    costs = measure(ZooSubject("slow", SUBJECTS["mock"], TakesHalfASecond), SPEC)
    assert {cost.returned_ms for cost in costs.phases.values()} == {None, 500}
    assert costs.phases["in silence after tokens"].released_ms == 0


def test_an_engine_that_is_not_let_go_has_no_time() -> None:
    costs = measure(ZooSubject("deaf", SUBJECTS["mock"], NeverCancels), SPEC)
    assert costs.phases["in silence after tokens"].released_ms is None
    assert costs.phases["by leaving, while tokens come"].released_ms == 0


@pytest.mark.parametrize("phase", ["while tokens come", "while it reads the prompt"])
def test_an_engine_that_looks_once_a_second_is_idle_after_at_most_that(phase: str) -> None:
    cost = measure(SUBJECTS["llamacpp"], SPEC).phases[phase]
    assert cost.released_ms is not None
    assert 0 < cost.released_ms < 1002
    assert cost.left_ms == 0
