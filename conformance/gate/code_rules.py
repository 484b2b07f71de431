"""What is wrong between the documents and the code: words that only one of them has.

The first place that an agreement names is the measure; the other places in documents are compared with it one by one,
those in code together. Names in braces are the same whatever they say: `/v1/tasks/{id}` is `/v1/tasks/{task_id}`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .finding import Finding
from .vocabulary import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from specs import Agreement

    from .facts import Project, Word

_CODES = {
    "route": ("SPEC301", "SPEC302"),
    "metric": ("SPEC303", "SPEC304"),
    "error code": ("SPEC305", "SPEC306"),
}
_OTHER = ("SPEC307", "SPEC308")


def agreements(project: Project) -> Iterator[Finding]:
    """Compare every place of every agreement."""
    for each in project.spec.agreements:
        first, *others = each.documents
        measure = words_of(project, first)
        yield from _empty(project, each, [source for source in each.documents if not words_of(project, source)])
        if not measure:
            continue
        for other in others:
            yield from _disagreeing(each, first, measure, other, words_of(project, other))
        yield from _with_code(project, each, measure)


def _with_code(project: Project, each: Agreement, measure: list[Word]) -> Iterator[Finding]:
    if not each.code:
        return
    for source in each.code:
        if not project.words.get(source):
            place = project.place_of("agreements", word=source)
            yield Finding("SPEC309", place, each.what, f"{source} has no words of the set: {each.what}")
    found = _in_code(project, each)
    if not found:
        return
    only_code, only_documents = _CODES.get(each.what, _OTHER)
    ruled_out = project.spec.never_served if each.what == "route" else ()
    for word in _missing(found, measure):
        code = "SPEC310" if word.word.partition(" ")[2] in ruled_out else only_code
        yield Finding(code, word.place, word.word, f"{each.what} {word.word} is not in {each.documents[0]}")
    for word in _missing(measure, found):
        yield Finding(only_documents, word.place, word.word, f"{each.what} {word.word} is not in the code")


def _disagreeing(each: Agreement, first: str, measure: list[Word], other: str, found: list[Word]) -> Iterator[Finding]:
    if not found:
        return
    for word in _missing(found, measure):
        yield Finding("SPEC024", word.place, word.word, f"{each.what} {word.word} is in {other} and not in {first}")
    for word in _missing(measure, found):
        yield Finding("SPEC024", found[0].place, word.word, f"{each.what} {word.word} is in {first} and not in {other}")


def _empty(project: Project, each: Agreement, sources: Iterable[str]) -> Iterator[Finding]:
    for source in sources:
        place = project.place_of("agreements", word=source)
        yield Finding("SPEC025", place, each.what, f"{source} has no words of the set: {each.what}")


def _in_code(project: Project, each: Agreement) -> list[Word]:
    return [word for source in each.code for word in project.words.get(source, ())]


def _missing(words: Iterable[Word], other: Iterable[Word]) -> list[Word]:
    """Return the words, each once, that the other set has not."""
    there = {_plain(word.word) for word in other}
    return list({_plain(word.word): word for word in words if _plain(word.word) not in there}.values())


def _plain(word: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", word)
