"""The places where doors are held: in their own module, and under every name that other modules have given them.

`from time import monotonic` binds a second name that replacing `time.monotonic` does not reach. So all modules are
looked through for such names, each module once. A module that is imported while a case plays may keep the replacement:
it passes everything on when nobody watches.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from functools import update_wrapper, wraps
from typing import TYPE_CHECKING, Protocol, cast, final

from .doors import DOORS, Door
from .tolerated import is_tolerated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FrameType

    Taken = Callable[[Door, FrameType], bool]


class Function(Protocol):
    """Anything that can be called."""

    def __call__(self, *args: object, **kwargs: object) -> object: ...


class _Ask:
    """Who is asked before a step; between cases nobody."""

    taken: Taken | None = None


class _Spots:
    """Where doors are held: (namespace or class, name, what is there, what replaces it)."""

    def __init__(self) -> None:
        self._modules = 0
        self._scanned: set[str] = set()
        self._guards: dict[int, tuple[Door, Function, Function]] = {}
        self.names: list[tuple[dict[str, object], str, Function, Function]] = []
        self.methods: list[tuple[type, str, Function, Function]] = []
        for door in DOORS:
            self._add(door)

    def look_again(self) -> None:
        """Look through the modules that were imported since."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        for module_name in sys.modules.keys() - self._scanned:
            self._scanned.add(module_name)
            self._scan(module_name, vars(sys.modules[module_name]))

    def _add(self, door: Door) -> None:
        owner_name, _, name = door.name.rpartition(".")
        owner: object = importlib.import_module(door.module)
        owner = getattr(owner, owner_name) if owner_name else owner
        original = cast("Function | None", getattr(owner, name, None))  # not every system has every function
        if original is None:
            return
        if isinstance(owner, type):
            self.methods.append((owner, name, original, _guarded_method(door, original)))
        else:
            self._guards[id(original)] = (door, original, _Guard(door, original))

    def _scan(self, module_name: str, names: Mapping[str, object]) -> None:
        for name, value in tuple(names.items()):
            found = self._guards.get(id(value))
            if found is not None and value is found[1] and not is_tolerated(module_name, found[0].way):
                self.names.append((cast("dict[str, object]", names), name, found[1], found[2]))


_spots: list[_Spots] = []


@contextmanager
def replaced(taken: Taken) -> Iterator[None]:
    """Have `taken` asked before each step through a door, until the block is left."""
    spots = _made()
    spots.look_again()
    _Ask.taken = taken
    _put(spots, is_guarded=True)
    try:
        yield
    finally:
        _put(spots, is_guarded=False)
        _Ask.taken = None


def _made() -> _Spots:
    if not _spots:
        _spots.append(_Spots())
    return _spots[0]


def _put(spots: _Spots, *, is_guarded: bool) -> None:
    for names, name, original, guard in spots.names:
        names[name] = guard if is_guarded else original
    for owner, name, original, guard in spots.methods:
        setattr(owner, name, guard if is_guarded else original)


@final
class _Guard:
    """Stands where a function was. An object, because a class may keep a function of C, which becomes no method."""

    def __init__(self, door: Door, original: Function) -> None:
        update_wrapper(self, original)
        self._door = door
        self._original = original

    def __call__(self, *args: object, **kwargs: object) -> object:
        if _is_taken(self._door, args, kwargs):
            return None
        return self._original(*args, **kwargs)


def _guarded_method(door: Door, original: Function) -> Function:
    @wraps(original)
    def guard(*args: object, **kwargs: object) -> object:
        if _is_taken(door, args, kwargs):
            return None
        return original(*args, **kwargs)

    return guard


def _is_taken(door: Door, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bool:
    """Return whether a call of a guard's caller is not to be made."""
    taken = _Ask.taken
    if taken is None or _is_harmless(door, (*args, *kwargs.values())):
        return False
    return taken(door, sys._getframe(2))  # noqa: SLF001 - documented, with this name


def _is_harmless(door: Door, given: tuple[object, ...]) -> bool:
    return door.harmless_from is not None and len(given) >= door.harmless_from and given[-1] is not None
