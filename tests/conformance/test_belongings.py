"""What the operating system holds for this process is counted, and named where there is more of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import trio

from conformance import belongings as counting
from conformance.belongings import belongings, left_behind

if TYPE_CHECKING:
    import pytest


async def _in_a_thread() -> None:
    await trio.to_thread.run_sync(sum, [])


def test_nothing_new_is_nothing_left() -> None:
    assert left_behind(belongings(), belongings()) == []


def test_a_pipe_is_two_open_files_whose_numbers_are_not_told() -> None:
    before = belongings()
    ends = os.pipe()
    assert left_behind(before, belongings()) == ["an open file: pipe:"] * 2
    for end in ends:
        os.close(end)
    assert left_behind(before, belongings()) == []


def test_files_are_found_where_the_system_does_not_list_them(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = belongings().files
    monkeypatch.setattr(counting, "_LISTS", ("/there/is/no/such/list",))
    assert belongings().files == listed
    before = belongings()
    end, other = os.pipe()
    assert left_behind(before, belongings()) == ["an open file: what for cannot be told here"] * 2
    os.close(end)
    os.close(other)


def test_a_thread_is_named_and_an_idle_one_of_trios_is_none() -> None:
    before, release = belongings(), threading.Event()
    trio.run(_in_a_thread)
    thread = threading.Thread(target=release.wait, name="forgotten")
    thread.start()
    assert left_behind(before, belongings()) == ["a thread: forgotten"]
    release.set()
    thread.join()


def test_a_child_is_named_by_its_program() -> None:
    before = belongings()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (told,) = [each for each in left_behind(before, belongings()) if each.startswith("a child")]
    assert "python" in told
    child.communicate(b"\n")
    assert left_behind(before, belongings()) == []
