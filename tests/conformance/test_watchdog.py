import threading
import time

import pytest

from conformance.watchdog import Blocked, run_bounded


def test_a_result_comes_through() -> None:
    assert run_bounded(lambda: 7, 5.0) == 7


def test_what_is_raised_comes_through() -> None:
    def fail() -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        run_bounded(fail, 5.0)


def test_code_that_does_not_end_is_given_up_and_the_report_says_where_it_stood() -> None:
    ended = threading.Event()

    def spin() -> None:
        try:
            while True:
                time.perf_counter()
        finally:
            ended.set()

    with pytest.raises(Blocked) as caught:
        run_bounded(spin, 0.5)
    assert "in spin" in caught.value.stack
    assert caught.value.line is not None
    assert caught.value.line.function == "spin"
    assert "0.5 s" in str(caught.value)
    assert ended.wait(5), "the thread was not asked to end"
