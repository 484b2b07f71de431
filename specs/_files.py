"""Reading the files of a folder: text that is whole, and no document that nobody would read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._errors import Fault, SpecError
from ._unseen import stray_requirement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

GUIDE = "README.md"
LARGEST_BYTES = 4 * 1024 * 1024
"""No document of requirements is larger; a file that is was put there by mistake, and would take minutes to read."""

_ENDING = ".md"
_OTHER_ENDINGS = (".markdown", ".mdown", ".mkd", ".mdx", ".rst")


def document_names(folder: Traversable, prefix: str) -> list[str]:
    """Return the documents of a folder; raise `SpecError` for one that lies where it would not be read."""
    entries = sorted(folder.iterdir(), key=lambda entry: entry.name)
    for entry in entries:
        for name in _unread(entry):
            message = "a document is a file `*.md` directly in the folder; this one would not be read"
            raise SpecError(prefix + name, 1, message, Fault.UNREAD)
    names = [entry.name for entry in entries if entry.name.endswith(_ENDING) and entry.name != GUIDE]
    if not names:
        raise SpecError(prefix, 1, "the folder has no document", Fault.EMPTY)
    _expect_only_a_guide(folder, prefix)
    return names


def read_text(folder: Traversable, name: str, prefix: str) -> str:
    """Return the text of a document with one kind of line end; raise `SpecError` if it is no text."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise SpecError(prefix + name, 1, f"it cannot be read: {error.strerror}", Fault.TEXT) from None
    if len(data) > LARGEST_BYTES:
        raise SpecError(prefix + name, 1, f"{len(data)} bytes are too many for a document", Fault.TEXT)
    if data.startswith(b"\xef\xbb\xbf"):
        raise SpecError(prefix + name, 1, "it begins with a byte order mark; write UTF-8 without one", Fault.TEXT)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SpecError(prefix + name, line, "it is not UTF-8", Fault.TEXT) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise SpecError(prefix + name, line, "it has a NUL, so it is no text", Fault.TEXT)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _unread(entry: Traversable) -> Iterator[str]:
    """Yield what looks like a document and is not read: in a folder of the folder, or with another ending."""
    lower = entry.name.lower()
    if lower.endswith(_OTHER_ENDINGS) or (lower.endswith(_ENDING) and not entry.name.endswith(_ENDING)):
        yield entry.name
    if entry.is_dir() and not entry.name.startswith((".", "__")) and not entry.name.endswith(_ENDING):
        for inner in sorted(entry.iterdir(), key=lambda each: each.name):
            if inner.name.lower().endswith((_ENDING, *_OTHER_ENDINGS)):
                yield f"{entry.name}/{inner.name}"


def _expect_only_a_guide(folder: Traversable, prefix: str) -> None:
    if not (folder / GUIDE).is_file():
        return
    line = stray_requirement(read_text(folder, GUIDE, prefix))
    if line:
        message = f"{GUIDE} tells how documents are written, and is not read for requirements; this is one"
        raise SpecError(prefix + GUIDE, line, message, Fault.UNREAD)
