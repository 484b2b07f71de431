"""Finds the subject that `--adapter` names: one that ships with the kit, or anybody's as MODULE:NAME.

Modules are looked for in the current directory too. Whatever is wrong with what is found is said in one sentence, so
that an author knows what to change.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, cast, final

from .means import MEANS
from .subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from types import ModuleType

    from specs import Specification

    from .subject import Fault, Rig, Situation, Subject

MEMBERS: Mapping[str, str] = {
    "name": "what reports call it",
    "engine": "the engine's name in requests and in the specification's error table",
    "limits": "what cannot be induced: name of the means -> why; {} if everything can",
    "faults": "faults(spec): the failures of the engine, as scripts",
    "open": "open(situation): an asynchronous context manager that gives a Rig",
}
"""Member of a `Subject` -> what it is."""

_FORM = "MODULE:NAME, as in my_package.my_module:subject"
_FEW = 12  # names that a message lists


@final
class NoSubject(ValueError):
    """What was named is no subject; the text says why, for the person who named it."""


@final
@dataclass(frozen=True, slots=True)
class Called:
    """A subject under the name by which the command line finds it, so that a printed command can be run again."""

    subject: Subject
    name: str

    @property
    def engine(self) -> str:
        """The engine of the subject."""
        return self.subject.engine

    @property
    def limits(self) -> Mapping[str, str]:
        """The limits of the subject."""
        return self.subject.limits

    def faults(self, spec: Specification) -> Sequence[Fault]:
        """Return the faults of the subject."""
        return self.subject.faults(spec)

    def open(self, situation: Situation) -> AbstractAsyncContextManager[Rig]:
        """Open the subject."""
        return self.subject.open(situation)


def find_subject(name: str) -> Subject:
    """Return the subject of that name, or the one at MODULE:NAME; raise `NoSubject`."""
    if name in SUBJECTS:
        return SUBJECTS[name]
    if ":" not in name:
        raise NoSubject(unknown("adapter", name, SUBJECTS) + _hint(name))
    found = find_object(name)
    expect_subject(found, name)
    return Called(cast("Subject", found), name)


def expect_subject(found: object, name: str = "") -> None:
    """Raise `NoSubject` unless it has the members of a subject."""
    wrong = _what_is_wrong(name or repr(found), found)
    if wrong is not None:
        raise NoSubject(wrong)


def find_object(name: str) -> object:
    """Return what is at MODULE:NAME; raise `NoSubject`. The module is imported, from the current directory too."""
    module_name, _, attribute = name.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise NoSubject(
            f"{name!r} is not of the form MODULE:NAME, as in my_package.my_module:subject{_as_module(name)}"
        )
    module = _imported(module_name)
    try:
        return cast("object", getattr(module, attribute))
    except AttributeError:
        raise NoSubject(_no_attribute(module, attribute)) from None


def callable_again(subject: Subject) -> Subject:
    """Return the subject under a name that the command line finds, if it is at the top of a module."""
    if SUBJECTS.get(subject.name) is subject or isinstance(subject, Called):
        return subject
    names = [f"{module}:{name}" for module, name in _places_of(subject)]
    return Called(subject, names[0]) if names else subject


def own_names(subject: Subject) -> frozenset[str]:
    """Return every name that a subject goes by."""
    return frozenset({subject.name, subject.subject.name if isinstance(subject, Called) else subject.name})


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """Return a message that helps: the nearest name, or all of a few."""
    names = list(known)
    near = get_close_matches(name.upper() if what == "check" else name, names, n=1)
    few = f"there are: {', '.join(names[:_FEW])}{', ...' if len(names) > _FEW else ''}"
    return f"there is no {what} {name!r}; {f'did you mean {near[0]}?' if near else few}"


def _imported(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            told = f"there is no module {error.name!r} in {here} nor on the Python path{_as_module(f'{name}:')}"
            raise NoSubject(told) from error
        raise NoSubject(_broken(name, error)) from error
    except (Exception, SystemExit) as error:
        raise NoSubject(_broken(name, error)) from error


def _broken(module: str, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"importing {module} failed: {type(error).__name__}: {error.msg} ({error.filename}:{error.lineno})"
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"importing {module} failed: {type(error).__name__}: {error} ({place.filename}:{place.lineno})"


def _hint(name: str) -> str:
    """Say how one names a subject of one's own, where the name looks like a module, or is one."""
    is_there = Path(*name.split(".")).is_dir() or Path(*name.split(".")).with_suffix(".py").is_file()
    if is_there and name.replace(".", "").isidentifier():
        return f"; {name} is a module: write {name}:NAME, with the name of the subject in it"
    return _as_module(name) or ("; write MODULE:NAME for one of your own" if {".", "_"} & set(name) else "")


def _as_module(name: str) -> str:
    """Return a suggestion for a path that was given in place of a module."""
    path, _, attribute = name.partition(":")
    is_path = "/" in path or path.endswith(".py")
    module = ".".join(part for part in Path(path.removesuffix(".py")).parts if part not in {".", "..", "/"})
    if not is_path or not all(part.isidentifier() for part in module.split(".")):
        return ""
    where = f", in the folder {Path(path).parent}" if ".." in Path(path).parts or Path(path).is_absolute() else ""
    module = module.rpartition(".")[2] if where else module
    return f"; did you mean {module}:{attribute or 'NAME'}{where}?"


def _no_attribute(module: ModuleType, attribute: str) -> str:
    there = [name for name, value in vars(module).items() if not name.startswith("_") and not _missing(value)]
    hint = f"; subjects in it: {', '.join(there)}" if there else "; there is no subject in it"
    return f"the module {module.__name__} has no {attribute!r}{hint}"


def _what_is_wrong(name: str, found: object) -> str | None:
    if isinstance(found, type):
        return f"{name} is a class; make an object of it and name that: subject = {found.__name__}(...)"
    missing = _missing(found)
    if "settings_schema" in dir(found) and "name" in missing:
        return (
            f"{name} is an adapter's factory: it cannot tell which engine to play. Name a subject, or give "
            "--engine-url to try the adapter on a running engine"
        )
    if missing:
        told = "; ".join(f"{member} is missing ({MEMBERS[member]})" for member in missing)
        return f"{name} is no subject: {told}"
    return _wrong_member(name, found)


def _wrong_member(name: str, found: object) -> str | None:
    subject = cast("Subject", found)
    for member in ("name", "engine"):
        value: object = getattr(subject, member)
        if not isinstance(value, str) or not value:
            return f"{name} is no subject: {member} is {value!r} and not a text ({MEMBERS[member]})"
    if not isinstance(subject.limits, Mapping):
        return f"{name} is no subject: limits is {subject.limits!r} and not a mapping ({MEMBERS['limits']})"
    for means in subject.limits:
        if means not in MEANS:
            return f"{name} has a limit that no check asks about: {unknown('means', str(means), MEANS)}"
    for member in ("faults", "open"):
        if not callable(getattr(subject, member)):
            return f"{name} is no subject: {member} cannot be called ({MEMBERS[member]})"
    return None


def _missing(found: object) -> list[str]:
    return [member for member in MEMBERS if isinstance(found, type) or not hasattr(found, member)]


def _places_of(subject: Subject) -> list[tuple[str, str]]:
    """Return (module, name) of the subject in modules that were imported, those that are no tests first."""
    places = [
        (module_name, name)
        for module_name, module in list(sys.modules.items())
        for name, value in list(getattr(module, "__dict__", {}).items())
        if value is subject and not name.startswith("_") and module_name != "__main__"
    ]
    return sorted(places, key=lambda place: place[0].rpartition(".")[2].startswith("test_"))
