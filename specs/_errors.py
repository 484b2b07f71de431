"""The one error of the loader."""

from enum import StrEnum


class Fault(StrEnum):
    """What sort of thing is wrong with a document."""

    EMPTY = "empty"
    HEAD = "head"
    KEYWORD = "keyword"
    HIDDEN = "hidden"
    FOREIGN = "foreign"
    ID_TWICE = "id-twice"
    TABLE = "table"
    UNKNOWN_TABLE = "unknown-table"
    TWICE = "twice"
    DANGLING = "dangling"
    ORDER = "order"
    SCHEMA = "schema"
    EXAMPLE = "example"
    TEXT = "text"
    UNREAD = "unread"
    UNSEEN = "unseen"


class SpecError(Exception):
    """A document is malformed; `str` is "file:line: message", which editors and terminals make clickable.

    `others` are the first errors of other documents, where several are malformed.
    """

    def __init__(self, file: str, line: int, message: str, fault: Fault = Fault.TABLE) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message
        self.fault = fault
        self.others: tuple[SpecError, ...] = ()
