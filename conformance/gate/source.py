"""Reading source code without running it: marks of tests, words of sets, and where things are defined.

A file that cannot be parsed is a trouble of the project and not an empty file.
"""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from .facts import TestFact, Word
from .finding import Finding, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
_VALUES = (ast.Assign, ast.AnnAssign, ast.Expr)
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def marked_tests(folder: Path, troubles: list[Finding]) -> list[TestFact]:
    """Return every mark `req` of the tests below `folder`; tests that are always skipped do not count."""
    return [
        TestFact(id, f"{path.name}::{name}", Place(path.as_posix(), node.lineno))
        for path, tree in _trees(folder.rglob("test_*.py"), troubles)
        for name, node in _marks(tree)
        for id in _texts(node)
    ]


def words_in_code(root: Path, source: str, troubles: list[Finding]) -> list[Word]:
    """Return the words at a place of the code; none if it is not there.

    routes:FILES, calls:NAME:FILES, enum:NAME:FILES, attributes:NAME:FILES; FILES is a pattern below `root`.
    """
    kind, _, rest = source.partition(":")
    name, _, pattern = rest.rpartition(":")
    read = _READERS.get(kind)
    if read is None or not pattern:
        return []
    return [
        Word(word, Place(path.as_posix(), line))
        for path, tree in _trees(root.glob(pattern), troubles)
        for word, line in read(tree, name)
    ]


def check_places(folder: Path, names: Mapping[str, str] = MappingProxyType({})) -> dict[str, Place]:
    """Return check id -> the place where a call outside of functions, which has the id first or as `id`, builds it.

    `names` are constants that stand for ids.
    """
    found: dict[str, Place] = {}
    for path, tree in _trees(folder.rglob("*.py"), []):
        for node in (node for each in tree.body if isinstance(each, _VALUES) for node in ast.walk(each)):
            if isinstance(node, ast.Call):
                for id in _texts(node)[:1] + _keyword(node, "id", names):
                    found.setdefault(id, Place(path.as_posix(), node.lineno))
    return found


def source_place(source: object) -> Place:
    """Return where a class or a function is defined."""
    if not inspect.isclass(source) and not inspect.isfunction(source):
        raise TypeError(f"{source!r} is no class and no function")
    return Place(inspect.getfile(source), inspect.getsourcelines(source)[1])


def seen_from(root: Path, place: Place) -> Place:
    """Call a file as it is called from the folder of the project, where it is below it."""
    path, top = Path(place.file).resolve(), root.resolve()
    return Place((root / path.relative_to(top)).as_posix(), place.line) if path.is_relative_to(top) else place


def _trees(paths: Iterable[Path], troubles: list[Finding]) -> Iterator[tuple[Path, ast.Module]]:
    """Yield the tree of each file that has one, and put the others among the troubles."""
    for path in sorted(paths):
        try:
            yield path, ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError) as error:
            line = error.lineno if isinstance(error, SyntaxError) else None
            troubles.append(Finding("SPEC311", Place(path.as_posix(), line or 1), path.name, str(error)))


def _marks(tree: ast.AST, inside: str = "module") -> Iterator[tuple[str, ast.Call]]:
    for node in ast.iter_child_nodes(tree):
        name = inside
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
            if any(ast.unparse(each).partition("(")[0] == "pytest.mark.skip" for each in node.decorator_list):
                continue
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.req"):
            yield inside, node
        yield from _marks(node, name)


def _routes(tree: ast.Module, _name: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for each in node.decorator_list:
                if isinstance(each, ast.Call) and _callee(each) in _VERBS:
                    yield from ((_route(each, path), each.lineno) for path in _texts(each)[:1] if path.startswith("/"))


def _route(node: ast.Call, path: str) -> str:
    plain = _PARAMETER.sub(r"{\1}", path)
    return f"{_callee(node).upper()} {plain}"


def _calls(tree: ast.Module, name: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _callee(node) == name:
            yield from ((text, node.lineno) for text in _texts(node)[:1])


def _enum(tree: ast.Module, name: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield from (pair for each in node.body for pair in _assigned(each))


def _attributes(tree: ast.Module, name: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (pair for each in node.body if _target(each) == name for pair in _assigned(each))


def _assigned(node: ast.stmt) -> Iterator[tuple[str, int]]:
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value, value.lineno


def _target(node: ast.stmt) -> str:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return next((each.id for each in targets if isinstance(each, ast.Name)), "")


def _callee(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


def _texts(node: ast.Call) -> list[str]:
    """The arguments of a call that are plain texts."""
    return [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def _keyword(node: ast.Call, name: str, names: Mapping[str, str]) -> list[str]:
    """The text that is given as `name`, plainly or as a constant of `names`."""
    values = [each.value for each in node.keywords if each.arg == name]
    plain = [each.value for each in values if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    stands = [ast.unparse(each).rpartition(".")[2] for each in values if isinstance(each, ast.Name | ast.Attribute)]
    return plain + [names[each] for each in stands if each in names]


_READERS: dict[str, Callable[[ast.Module, str], Iterator[tuple[str, int]]]] = {
    "routes": _routes,
    "calls": _calls,
    "enum": _enum,
    "attributes": _attributes,
}
"""Kind of place -> what reads it: (tree, name) -> words with their lines."""
