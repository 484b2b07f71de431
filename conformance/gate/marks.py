"""Reading the marks of tests: `@pytest.mark.req("ID")`, wherever pytest would take it for one.

A test that is always skipped proves nothing, and a mark on something else than a test neither.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .facts import TestFact
from .finding import Finding, Place
from .source import texts, trees

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

_FILES = ("test_*.py", "*_test.py")
"""The names of files in which pytest looks for tests."""


def marked_tests(folder: Path, troubles: list[Finding]) -> list[TestFact]:
    """Return every mark `req` of the tests below `folder`; tests that are always skipped do not count."""
    paths = {path for pattern in _FILES for path in folder.rglob(pattern)}
    marked = ((path, tree) for path, tree in trees(paths, troubles) if b"req" in path.read_bytes())
    return [test for path, tree in marked for test in _of_file(path, tree, troubles)]


def _of_file(path: Path, tree: ast.Module, troubles: list[Finding]) -> Iterator[TestFact]:
    for name, node in [] if _is_skipped(_assigned_marks(tree.body)) else _marks(tree):
        place, ids, mark = Place(path.as_posix(), node.lineno), texts(node), ast.unparse(node)
        if name is None:
            troubles.append(Finding("SPEC121", place, ", ".join(ids), f"{mark} is on no test"))
            continue
        if len(ids) < len(node.args) or not ids:
            troubles.append(Finding("SPEC312", place, "req", f"{mark} has an id that is not written out"))
        yield from (TestFact(id, f"{path.name}::{name}", place) for id in ids)


def _marks(node: ast.AST, inside: str = "module") -> Iterator[tuple[str | None, ast.Call]]:
    """Yield each mark and the name of its test; None for one that decorates no test."""
    for each in ast.iter_child_nodes(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _marks_of(each)
            continue
        if isinstance(each, ast.Call) and _is_mark(each, "req"):
            yield inside, each
        yield from _marks(each, inside)


def _marks_of(node: Defined) -> Iterator[tuple[str | None, ast.Call]]:
    if _is_skipped([*node.decorator_list, *_assigned_marks(node.body)]):
        return
    is_test = isinstance(node, ast.ClassDef) or node.name.startswith("test")
    for name, mark in _marks(node, node.name):
        yield (name if is_test or mark not in node.decorator_list else None), mark


def _assigned_marks(body: list[ast.stmt]) -> list[ast.expr]:
    """Return what is assigned to `pytestmark`."""
    values = [
        each.value for each in body if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "pytestmark"
    ]
    return [mark for each in values for mark in (each.elts if isinstance(each, ast.List | ast.Tuple) else [each])]


def _is_skipped(marks: list[ast.expr]) -> bool:
    return any(_is_mark(each, "skip") or (_is_mark(each, "skipif") and _is_always(each)) for each in marks)


def _is_mark(node: ast.expr, name: str) -> bool:
    called = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(called).endswith(f"mark.{name}")


def _is_always(node: ast.expr) -> bool:
    condition = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return isinstance(condition, ast.Constant) and bool(condition.value)
