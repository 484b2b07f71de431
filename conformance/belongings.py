"""What the operating system holds for this process: open files, threads, child processes. Counted around a case.

Open files are listed where the system can list them (`/proc/self/fd`, `/dev/fd`) and tried one by one elsewhere.
Children are only seen where `/proc` tells them.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

_LISTS = ("/proc/self/fd", "/dev/fd")
_TASKS = "/proc/self/task"
_TRIED = 1024  # file descriptors that are tried where they cannot be listed
_IDLE_THREAD = "Trio thread"
"""Trio keeps a thread that has done its work for ten seconds, in case there is more."""
_NUMBER = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Belongings:
    """Numbers of open files, of threads (with their names) and of children."""

    files: frozenset[int]
    threads: frozenset[tuple[int, str]]
    children: frozenset[int]


def belongings(*, only_files: bool = False) -> Belongings:
    """Count what there is now; threads and children can be left out where none may be started."""
    if only_files:
        return Belongings(frozenset(_files()), frozenset(), frozenset())
    return Belongings(frozenset(_files()), frozenset(_threads()), frozenset(_children()))


def left_behind(before: Belongings, after: Belongings) -> list[str]:
    """Return what there is more than before, for people and without numbers that change."""
    files = [f"an open file: {_target(number)}" for number in sorted(after.files - before.files)]
    threads = [f"a thread: {name}" for _, name in sorted(after.threads - before.threads)]
    children = [f"a child process: {_program(number)}" for number in sorted(after.children - before.children)]
    return [*files, *threads, *children]


def _files() -> list[int]:
    for place in _LISTS:
        listed = _listed(place)
        if listed:
            return [number for number in map(int, listed) if _is_open(number)]  # one of them was the list itself
    return [number for number in range(_TRIED) if _is_open(number)]


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _threads() -> list[tuple[int, str]]:
    alive = [(thread.ident or 0, thread.name) for thread in threading.enumerate()]
    return [each for each in alive if not each[1].startswith(_IDLE_THREAD)]


def _children() -> list[int]:
    found: list[int] = []
    for thread in _listed(_TASKS):
        try:
            told = Path(_TASKS, thread, "children").read_bytes()
        except OSError:  # the thread has ended meanwhile, or this system does not tell
            continue
        found.extend(map(int, told.split()))
    return found


def _listed(place: str) -> list[str]:
    try:
        return os.listdir(place)
    except OSError:
        return []


def _target(number: int) -> str:
    for place in _LISTS:
        try:
            return _NUMBER.sub("", str(Path(place, str(number)).readlink()))
        except OSError:
            continue
    return "what for cannot be told here"


def _program(number: int) -> str:
    try:
        return Path(f"/proc/{number}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return "ended"
