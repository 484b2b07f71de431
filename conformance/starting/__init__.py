"""Makes a start for a new adapter: a package that runs and conforms, with marks at what its author has to change.

The files are in `template/`, for an engine called acme.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

_SUFFIX = ".in"
_DOT = "dot_"  # begins the names of files that begin with a dot: such are left out of some archives
ENGINE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
"""The form of an engine's name."""


@final
class CannotStart(ValueError):
    """The folder cannot be written to as it is; the text says why."""


def files(engine: str) -> Mapping[str, str]:
    """Return path -> text of each file of the start for this engine."""
    return {_named(path, engine): _named(text, engine) for path, text in _templates(resources.files(__name__))}


def start(folder: Path, engine: str) -> list[Path]:
    """Write the files and return their paths; raise `CannotStart` rather than overwrite one."""
    wanted = {folder / path: text for path, text in files(engine).items()}
    there = [path for path in wanted if path.exists()]
    if there:
        raise CannotStart(f"{there[0]} is there already; nothing was written")
    try:
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotStart(str(error)) from error
    return list(wanted)


def _templates(package: Traversable) -> Iterator[tuple[str, str]]:
    yield from _below(package / "template", "")


def _below(folder: Traversable, way: str) -> Iterator[tuple[str, str]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from _below(each, f"{way}{_true_name(each.name)}/")
        elif each.name.endswith(_SUFFIX):
            yield f"{way}{_true_name(each.name.removesuffix(_SUFFIX))}", each.read_text(encoding="utf-8")


def _true_name(name: str) -> str:
    return f".{name.removeprefix(_DOT)}" if name.startswith(_DOT) else name


def _named(text: str, engine: str) -> str:
    module, kind = engine.replace("-", "_"), "".join(part.capitalize() for part in engine.split("-"))
    return text.replace("acme_", f"{module}_").replace("Acme", kind).replace("acme", engine)
