"""The lock: what every requirement and table said when it was agreed on, so that nothing changes or goes unseen.

It is written by a command and never by hand: sorted, without dates and line numbers, the same bytes from the same
documents. An id that was taken out of the documents stays in it as a tombstone and is not used again.
"""

from __future__ import annotations

import json
import re
import tomllib
import unicodedata
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._markdown import Block
    from ._model import Requirement, Specification

LOCK = "specs.lock.json"
FORMAT = 1


class LockError(ValueError):
    """The text is no lock; the message says why."""


class Former(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a requirement said at an older revision."""

    revision: int
    text: str


class Locked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One requirement as it was agreed on; `place` is document and section, `former` what it said before."""

    id: str
    level: str
    revision: int
    profile: str
    place: str
    text: str
    sha256: str
    former: tuple[Former, ...] = ()

    def text_at(self, revision: int) -> str | None:
        """Return what the requirement said at a revision; None if that is not known."""
        texts = {each.revision: each.text for each in self.former} | {self.revision: self.text}
        return texts.get(revision)

    @property
    def is_intact(self) -> bool:
        """Whether the hash is that of the text; it is not when somebody wrote the lock by hand."""
        return self.sha256 == _digest(self.text)


class LockedTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table: `sha256` is that of its values, however they are laid out and commented."""

    name: str
    sha256: str


class Tombstone(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An id that is used up: its last revision and text, and the id that took its place, if one did."""

    id: str
    revision: int
    text: str
    successor: str = ""


class Lock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is agreed on."""

    format: int = FORMAT
    requirements: tuple[Locked, ...] = ()
    tables: tuple[LockedTable, ...] = ()
    removed: tuple[Tombstone, ...] = ()

    def by_name(self) -> dict[str, str]:
        """Return name of a table -> hash."""
        return {each.name: each.sha256 for each in self.tables}

    def by_id(self) -> dict[str, Locked]:
        """Return id -> requirement."""
        return {each.id: each for each in self.requirements}

    def tombstones(self) -> dict[str, Tombstone]:
        """Return id -> tombstone."""
        return {each.id: each for each in self.removed}


EMPTY = Lock()
"""The lock before anything was agreed on."""


def locked(spec: Specification, before: Lock = EMPTY) -> Lock:
    """Return the lock of the documents; what `before` has and they have not becomes a tombstone.

    What a requirement said at an older revision stays, so that whoever relied on it can see what is different.
    """
    agreed = before.by_id()
    now = {each.id: _locked(spec, each, agreed.get(each.id)) for each in spec.requirements.values()}
    dead = before.tombstones() | {
        each.id: Tombstone(id=each.id, revision=each.revision, text=each.text, successor=spec.aliases.get(each.id, ""))
        for each in before.requirements
        if each.id not in now
    }
    return Lock(
        requirements=tuple(now[id] for id in sorted(now)),
        tables=tuple(LockedTable(name=name, sha256=_values(spec.tables[name])) for name in sorted(spec.tables)),
        removed=tuple(dead[id] for id in sorted(dead)),
    )


def lock_text(lock: Lock) -> str:
    """Return the text of the file."""
    return msgspec.json.format(msgspec.json.encode(lock), indent=2).decode() + "\n"


def read_lock(text: str) -> Lock:
    """Return the lock that the text of a file holds; raise `LockError` if it holds none."""
    try:
        lock = msgspec.json.decode(text, type=Lock)
    except msgspec.DecodeError as error:
        raise LockError(str(error)) from None
    if lock.format != FORMAT:
        raise LockError(f"format {lock.format} is not known; this is format {FORMAT}")
    return lock


def normal(statement: str) -> str:
    """Return a statement without what does not change it: line breaks, runs of spaces, forms of one character."""
    return " ".join(unicodedata.normalize("NFC", statement).split())


def _locked(spec: Specification, requirement: Requirement, before: Locked | None) -> Locked:
    text, profile = normal(requirement.statement), spec.profile_of(requirement)
    return Locked(
        id=requirement.id,
        level=requirement.level,
        revision=requirement.revision,
        profile=profile.name if profile is not None else "",
        place=f"{requirement.document.rpartition('/')[2]}{_anchor(requirement.section)}",
        text=text,
        sha256=_digest(text),
        former=_former(requirement, before),
    )


def _former(requirement: Requirement, before: Locked | None) -> tuple[Former, ...]:
    if before is None:
        return ()
    is_revised = requirement.revision > before.revision
    return (*before.former, Former(revision=before.revision, text=before.text)) if is_revised else before.former


def _values(blocks: Iterable[Block]) -> str:
    """The hash of what the blocks of one name say; which of several examples comes first is no difference."""
    return _digest("\n".join(sorted(_value(each.language, each.text) for each in blocks)))


@cache
def _value(language: str, text: str) -> str:
    """What a block says, in one form."""
    value: object = json.loads(text) if language == "json" else tomllib.loads(text)
    return json.dumps(value, sort_keys=True, default=str)


def _anchor(section: str) -> str:
    """The link to a heading, as web pages of Markdown have it."""
    words = re.sub(r"[^\w\- ]", "", section.lower()).replace(" ", "-")
    return f"#{words}" if words else ""


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
