"""A census of tasks: which ones are alive that belong neither to the engine nor to the kit's own readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    Census = frozenset[trio.lowlevel.Task]


def census(engine_tasks: trio.Nursery, readers: Collection[trio.lowlevel.Task] = ()) -> Census:
    """Return every task of this run except those below `engine_tasks` and the `readers` with all below them."""
    root = trio.lowlevel.current_root_task()
    return frozenset(_below(root, engine_tasks, readers)) if root else frozenset()


def names(tasks: Collection[trio.lowlevel.Task]) -> str:
    """Return the names of these tasks for people."""
    return ", ".join(sorted(task.name for task in tasks))


def _below(
    task: trio.lowlevel.Task, engine_tasks: trio.Nursery, readers: Collection[trio.lowlevel.Task]
) -> Iterator[trio.lowlevel.Task]:
    yield task
    for nursery in task.child_nurseries:
        if nursery is engine_tasks:
            continue
        for child in nursery.child_tasks:
            if child not in readers:
                yield from _below(child, engine_tasks, readers)
