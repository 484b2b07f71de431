"""Every way in which our own documents can be broken by one small edit, and what the gate has to say of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from specs import Requirement, Specification

    Texts = Mapping[str, str]

_WORD = re.compile(r"\b(MUST NOT|MUST|SHOULD NOT|SHOULD|MAY)\b")
_FENCE = re.compile(r"^```(toml|json) spec=.*?^```$", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\[\[(\w+)\]\]\n(?:(?!\[\[|\[\w|```).*\n)+", re.MULTILINE)
_UNLOCKED = "SPEC016"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One edit: the new text of one document. One of `codes` has to be found."""

    kind: str
    about: str
    file: str
    text: str
    codes: frozenset[str]

    @property
    def name(self) -> str:
        """What is broken, and where."""
        return f"{self.kind}: {self.about}"


def mutations(spec: Specification, texts: Texts) -> Iterator[Mutation]:
    """Yield every edit of the documents, whose texts are by name."""
    for requirement in spec.requirements.values():
        file = requirement.document.rpartition("/")[2]
        yield from _of_requirement(requirement, file, texts[file])
    for file, text in texts.items():
        yield from _of_tables(file, text)


def _of_requirement(each: Requirement, file: str, text: str) -> Iterator[Mutation]:
    item = _item(each, text)
    keyword, other = str(each.level), "SHOULD" if each.level != "SHOULD" else "MUST"
    bold, head = f"**{keyword}**", f"- [{each.id} r{each.revision}"
    near = f"{each.id[:-1]}{(int(each.id[-1]) + 1) % 10}" if each.id[-1].isdigit() else each.id[:-1]
    edits = {
        "a requirement less": ("", {_UNLOCKED, "SPEC020"}),
        "a requirement twice": (item + item, {"SPEC006"}),
        "a requirement under a taken or new id": (
            item.replace(each.id, near, 1),
            {"SPEC006", "SPEC013", "SPEC020", _UNLOCKED},
        ),
        "another keyword": (item.replace(bold, other, 1), {"SPEC011"}),
        "the keyword negated": (item.replace(bold, f"{keyword} NOT", 1), {"SPEC010", "SPEC011"}),
        "a keyword in lower case": (item.replace(bold, keyword.lower(), 1), {"SPEC003"}),
        "a second keyword": (item.replace(bold, f"{bold} and MAY", 1), {"SPEC003"}),
        "a foreign keyword": (item.replace(bold, "SHALL", 1), {"SPEC003", "SPEC005"}),
        "another word": (re.sub(r"\.\n$", " soon.\n", item), {"SPEC010"}),
        "a later revision": (item.replace(head, f"- [{each.id} r{each.revision + 1}", 1), {_UNLOCKED}),
        "no revision": (item.replace(head, f"- [{each.id}", 1), {"SPEC002"}),
        "a requirement in a comment": (f"<!--\n{item}-->\n", {"SPEC030", "SPEC001"}),
        "a requirement in a fence": (f"```text\n{item}```\n", {_UNLOCKED, "SPEC001", "SPEC020"}),
        "a requirement as code": (f"\n      {item.strip()}\n", {"SPEC003", "SPEC004", "SPEC030"}),
    }
    for kind, (new, codes) in edits.items():
        if new != item and not (kind == "the keyword negated" and "NOT" in keyword):
            yield Mutation(kind=kind, about=each.id, file=file, text=text.replace(item, new, 1), codes=frozenset(codes))


def _item(each: Requirement, text: str) -> str:
    """Return the lines of a requirement: its item up to the next one, or an empty line."""
    lines = text.split("\n")
    last = each.line
    while last < len(lines) and lines[last].startswith("  "):
        last += 1
    return "".join(f"{line}\n" for line in lines[each.line - 1 : last])


def _of_tables(file: str, text: str) -> Iterator[Mutation]:
    for found in _FENCE.finditer(text):
        head, block = found[0].partition("\n")[0], found[0]
        about = f"{file} {head.removeprefix('```')}"

        def edit(kind: str, new: str, *codes: str, about: str = about, block: str = block) -> Mutation:
            assert new != block, (kind, about)
            return Mutation(kind=kind, about=about, file=file, text=text.replace(block, new, 1), codes=frozenset(codes))

        tied = ("SPEC020", "SPEC021", "SPEC023", "SPEC026")
        yield edit("a table less", "", _UNLOCKED, *tied)
        yield edit("a table without its kind", block.replace(head, head.split()[0]), _UNLOCKED, *tied)
        yield edit("a table of no kind", block.replace("spec=", "spec=no-", 1), "SPEC008")
        yield edit("a table twice", f"{block}\n\n{block}", "SPEC009", *([_UNLOCKED] if "spec=example" in head else []))
        yield edit("a table without an end", block.removesuffix("```"), "SPEC030", "SPEC007")
        for number, row in enumerate(_ROW.finditer(block) if "toml" in head else ()):
            less, twice = block.replace(row[0], "", 1), block.replace(row[0], row[0] * 2, 1)
            where = f"{about}, row {number}"
            yield edit("a row less", less, _UNLOCKED, "SPEC007", *tied, about=where)
            codes = (_UNLOCKED,) if row[1] == "rule" else ("SPEC009",)
            yield edit("a row twice", twice, *codes, "SPEC009", about=where)
