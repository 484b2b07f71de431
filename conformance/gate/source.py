"""Reading source code without running it: its trees, and where things are defined.

A file that cannot be parsed is a trouble of the project and not an empty file.
"""

from __future__ import annotations

import ast
import inspect
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from warnings import catch_warnings

from .finding import Finding, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_VALUES = (ast.Assign, ast.AnnAssign, ast.Expr)


def trees(paths: Iterable[Path], troubles: list[Finding]) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the tree of each file that has one, and put the others among the troubles."""
    for path in sorted(paths):
        try:
            with catch_warnings(action="ignore"):  # of escapes in other people's texts
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, OSError, RecursionError, MemoryError) as error:
            line = error.lineno if isinstance(error, SyntaxError) else None
            message = str(error) or "it is nested too deeply"
            troubles.append(Finding("SPEC311", Place(path.as_posix(), line or 1), path.name, message))
        else:
            yield path, tree


def texts(node: ast.Call) -> list[str]:
    """Return the arguments of a call that are plain texts."""
    return [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def keyword(node: ast.Call, name: str) -> ast.expr | None:
    """Return what is given to a call as `name`; None if nothing is."""
    return next((each.value for each in node.keywords if each.arg == name), None)


def text_of(node: ast.expr | None, names: Mapping[str, str]) -> str | None:
    """Return the text that an expression is: written out, or a constant of `names`; None if it is neither."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name | ast.Attribute):
        return names.get(ast.unparse(node).rpartition(".")[2])
    return None


def check_places(folder: Path, names: Mapping[str, str] = MappingProxyType({})) -> dict[str, Place]:
    """Return check id -> the place where a call outside of functions, which has the id first or as `id`, builds it.

    `names` are constants that stand for ids.
    """
    found: dict[str, Place] = {}
    for path, tree in trees(folder.rglob("*.py"), []):
        for node in (node for each in tree.body if isinstance(each, _VALUES) for node in ast.walk(each)):
            if isinstance(node, ast.Call):
                named = text_of(keyword(node, "id"), names)
                for id in texts(node)[:1] + ([named] if named else []):
                    found.setdefault(id, Place(path.as_posix(), node.lineno))
    return found


def source_place(source: object) -> Place:
    """Return where a class or a function is defined."""
    if inspect.isfunction(source):
        return Place(source.__code__.co_filename, source.__code__.co_firstlineno)
    if not inspect.isclass(source):
        raise TypeError(f"{source!r} is no class and no function")
    file = inspect.getfile(source)
    return Place(file, _class_lines(file).get(source.__qualname__, 1))


@cache
def _class_lines(file: str) -> Mapping[str, int]:
    """Return the line of each class of a file by its qualified name; `inspect` would read the file for each."""
    return {name: node.lineno for name, node in _classes(ast.parse(Path(file).read_bytes()), "")}


def _classes(tree: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ClassDef]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield f"{prefix}{node.name}", node
            yield from _classes(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(node, f"{prefix}{node.name}.<locals>.")


def seen_from(root: Path, place: Place) -> Place:
    """Call a file as it is called from the folder of the project, where it is below it."""
    path, top = Path(place.file).resolve(), root.resolve()
    return Place((root / path.relative_to(top)).as_posix(), place.line) if path.is_relative_to(top) else place
