"""Reading the words of a set out of source code, by the names that the table of agreements gives to places.

routes:FILES             verbs and paths of decorators and of calls that add a route
calls:NAME:FILES         the first argument of each call
enum:NAME:FILES          the values of an enumeration
attributes:NAME:FILES    the values of a class attribute
fields:NAME:FILES        the fields of a class with annotations
literals:NAME:FILES      the values in the `Literal` of a field

FILES is a pattern below the folder of the project. A word that is not written out there, nor as a constant of the same
file, is a trouble of the project and not left out.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from .facts import Word
from .finding import Finding, Place
from .source import keyword, text_of, trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Found = Iterator[tuple[str | None, ast.AST]]

_VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "options", "websocket"})
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


def words_in_code(root: Path, source: str, troubles: list[Finding]) -> list[Word]:
    """Return the words at a place of the code; none if it is not there."""
    kind, _, rest = source.partition(":")
    name, _, pattern = rest.rpartition(":")
    if kind not in _READERS or not pattern:
        return []
    words = list[Word]()
    for path, tree in trees(_files(root, pattern), troubles):
        for word, node in _READERS[kind](tree, name, _constants(tree)):
            place = Place(path.as_posix(), getattr(node, "lineno", 1))
            if word is None:
                message = f"{source}: {ast.unparse(node).partition(chr(10))[0]} does not say the word"
                troubles.append(Finding("SPEC312", place, name or kind, message))
            else:
                words.append(Word(word, place))
    return words


def _files(root: Path, pattern: str) -> list[Path]:
    try:
        return list(root.glob(pattern))
    except (ValueError, NotImplementedError, IndexError):  # no pattern below a folder
        return []


def _constants(tree: ast.Module) -> Mapping[str, str]:
    """Return the texts that a module gives a name."""
    pairs = [
        (_target(node), text_of(node.value, {})) for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign)
    ]
    return {name: text for name, text in pairs if text is not None}


def _routes(tree: ast.Module, _name: str, names: Mapping[str, str]) -> Found:
    decorators = [
        each
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for each in node.decorator_list
        if isinstance(each, ast.Call) and _callee(each) in _VERBS | {"route"}
    ]
    adding = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _callee(node) == "add_url_rule"]
    for call in [*decorators, *adding]:
        yield from ((word, call) for word in _route(call, names))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and keyword(node, "url_prefix") is not None:
            yield None, node


def _route(node: ast.Call, names: Mapping[str, str]) -> Iterator[str | None]:
    path = text_of(node.args[0] if node.args else keyword(node, "rule"), names)
    if path is not None and not path.startswith("/"):
        return  # a decorator of another sort
    plain = _PARAMETER.sub(r"{\1}", path) if path is not None else None
    for verb in _verbs(node, names):
        yield None if plain is None or verb is None else f"{verb.upper()} {plain}"


def _verbs(node: ast.Call, names: Mapping[str, str]) -> list[str | None]:
    if _callee(node) in _VERBS:
        return [_callee(node)]
    methods = keyword(node, "methods")
    if methods is None:
        return ["get"]
    if not isinstance(methods, ast.List | ast.Tuple | ast.Set):
        return [None]
    return [text_of(each, names) for each in methods.elts]


def _calls(tree: ast.Module, name: str, names: Mapping[str, str]) -> Found:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _callee(node) == name:
            first = node.args[0] if node.args else keyword(node, "name")
            yield text_of(first, names), node


def _enum(tree: ast.Module, name: str, names: Mapping[str, str]) -> Found:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            yield from (
                pair for each in node.body for pair in _assigned(each, names) if not _target(each).startswith("_")
            )


def _attributes(tree: ast.Module, name: str, names: Mapping[str, str]) -> Found:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (pair for each in node.body if _target(each) == name for pair in _assigned(each, names))


def _fields(tree: ast.Module, name: str, _names: Mapping[str, str]) -> Found:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == name:
            fields = [
                each for each in node.body if isinstance(each, ast.AnnAssign) and not _target(each).startswith("_")
            ]
            yield from ((_target(each), each) for each in fields if "ClassVar" not in ast.unparse(each.annotation))


def _literals(tree: ast.Module, name: str, names: Mapping[str, str]) -> Found:
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and _target(node) == name:
            for each in ast.walk(node.annotation):
                if isinstance(each, ast.Subscript) and ast.unparse(each.value).endswith("Literal"):
                    values = each.slice.elts if isinstance(each.slice, ast.Tuple) else [each.slice]
                    yield from ((text_of(value, names), value) for value in values)


def _assigned(node: ast.stmt, names: Mapping[str, str]) -> Found:
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        yield text_of(node.value, names), node.value


def _target(node: ast.stmt) -> str:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return next((each.id for each in targets if isinstance(each, ast.Name)), "")


def _callee(node: ast.Call) -> str:
    return ast.unparse(node.func).rpartition(".")[2]


_READERS: dict[str, Callable[[ast.Module, str, Mapping[str, str]], Found]] = {
    "routes": _routes,
    "calls": _calls,
    "enum": _enum,
    "attributes": _attributes,
    "fields": _fields,
    "literals": _literals,
}
"""Kind of place -> what reads it: (tree, name, constants) -> words and where they stand; None for what is no word."""
