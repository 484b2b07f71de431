"""Documents and locks that are wrong."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from specs import Lock, Tombstone, lock_text, locked

from .breaking import Broken, document, suite

if TYPE_CHECKING:
    from conformance.gate.facts import Project

LOCK = "specs/specs.lock.json"
FENCED = "# Void\n\n```\n- [EV-1009 r1] It MUST be.\n```\n"
LINKED = "# Void\n\nSee [EV-1009 r1](events.md), which must be.\n"
TWICE = 'name = "queue"\nvalue = 2\nunit = "tasks"\nrequirement = "SV-1002"\n[[bound]]\nname  = "queue"'
MORE = "# More\n\n- [MO-1001 r1] More MUST be.\n"


def buried(project: Project) -> Project:
    """Let EV-1005 have been taken out before."""
    assert project.lock is not None
    grave = Tombstone(id="EV-1005", revision=3, text="An event MAY be loud.")
    lock = msgspec.structs.replace(project.lock, removed=(grave,))
    return replace(project, lock=lock, lock_text=lock_text(lock))


def another_text(project: Project) -> Project:
    """Let the base have agreed on another text, and the lock have been written anew with the change."""
    first, text = locked(project.spec).requirements[0], "An event MUST be."
    other = msgspec.structs.replace(first, text=text, sha256=sha256(text.encode()).hexdigest())
    return replace(project, base=Lock(requirements=(other,)))


def another_id(project: Project) -> Project:
    """Let the base have agreed on an id that has left without a trace."""
    first = locked(project.spec).requirements[0]
    return replace(project, base=Lock(requirements=(msgspec.structs.replace(first, id="EV-0999"),)))


def void(name: str, text: str) -> Broken:
    """Add a document that states nothing."""
    return Broken(name=name, code="SPEC001", at=("specs/void.md", ""), files={"specs/void.md": text})


UNREADABLE = [
    void("an empty file", ""),
    void("a document that states nothing", "# Void\n\nNothing must be.\n"),
    void("ids only inside a fence", FENCED),
    void("ids only in a link", LINKED),
    document("no revision", "SPEC002", "events.md", "EV-1001", "[EV-1001 r1]", "[EV-1001]"),
    document("a bad id", "SPEC002", "events.md", "EV-1 ", "[EV-1001 r1]", "[EV-1 r1]"),
    document("a keyword in lower case", "SPEC003", "events.md", "EV-1001", "**MUST**", "must"),
    document("two keywords", "SPEC003", "events.md", "EV-1001", "have a kind", "and SHOULD have a kind"),
    document("a keyword in prose", "SPEC004", "events.md", "# Events", "# Events", "# Events MUST be"),
    document("a foreign keyword", "SPEC005", "events.md", "EV-1001", "**MUST**", "SHALL"),
    document(
        "an id of the same document", "SPEC006", "events.md", "never", "[EV-1003 r1] An event", "[EV-1001 r1] It never"
    ),
    document("an id of another document", "SPEC006", "service.md", "EV-1001", "SV-1001 r1, OLD-0001", "EV-1001 r1"),
    document("an older id that is taken", "SPEC006", "service.md", "EV-1001", "OLD-0001", "EV-1001"),
    document("a table that is no TOML", "SPEC007", "service.md", "method", '"GET"', "GET"),
    document("an unknown column", "SPEC007", "service.md", "des =", "does =", "des ="),
    document("an unknown kind of table", "SPEC008", "service.md", "rotues", "spec=routes", "spec=rotues"),
    document("a missing attribute", "SPEC008", "events.md", "frame-order", " boundary=x\ninitial", "\ninitial"),
    document("a row twice", "SPEC009", "service.md", "name  =", 'name = "queue"', TWICE),
    document("a bound for nothing", "SPEC020", "service.md", "SV-1009", '"SV-1002"', '"SV-1009"'),
    document("an order that leads nowhere", "SPEC021", "events.md", "opne", 'start = "open"', 'start = "opne"'),
    document("an event without a schema", "SPEC021", "events.md", "frame-order", "stop = ", 'halt = "done"\nstop = '),
    document("no JSON Schema", "SPEC022", "events.md", "thing", '"type": "object"}', '"type": "thing"}'),
    document("an example that does not validate", "SPEC023", "events.md", "spec=example", '{"kind": "Slow"}', "3"),
]
WHOLE = "# Void\n\n- [EV-1009 r1] It **MUST** be.\n"
UNSEEN = "[EV-1009 r1] it must be."


def file(name: str, code: str, file: str, text: str | bytes, line: str = "") -> Broken:
    """Add a file."""
    return Broken(name=name, code=code, at=(f"specs/{file}", line), files={f"specs/{file}": text})


def unseen(name: str, text: str, line: str = "EV-1009") -> Broken:
    """Put a requirement where it is not read."""
    return file(name, "SPEC030", "void.md", "# Void\n\n- [EV-1008 r1] It **MUST** be.\n\n" + text, line)


def behind(name: str, old: str, new: str) -> Broken:
    """Leave the lock behind a table."""
    return Broken(name=name, code="SPEC016", at=(LOCK, ""), edit=("specs/service.md", old, new), is_locked=False)


DROPPED = [
    file("a document in another encoding", "SPEC028", "void.md", WHOLE.encode() + b"\nCaf\xe9\n", "5"),
    file("a document in wide characters", "SPEC028", "void.md", WHOLE.encode("utf-16"), "1"),
    file("a byte order mark", "SPEC028", "void.md", "\ufeff" + WHOLE),
    file("a NUL", "SPEC028", "void.md", WHOLE + "\0", "4"),
    file("a huge document", "SPEC028", "void.md", WHOLE + "\n" * (4 << 20), "1"),
    file("a document in a folder", "SPEC029", "more/void.md", WHOLE),
    file("a document with a loud ending", "SPEC029", "void.MD", WHOLE),
    file("a document with another ending", "SPEC029", "void.markdown", WHOLE),
    file("a requirement in the guide", "SPEC029", "README.md", WHOLE, "EV-1009"),
    file("a table in the guide", "SPEC029", "README.md", "# Guide\n\n```toml spec=log\n```\n", "spec=log"),
    unseen("a requirement in a comment", f"<!--\n- {UNSEEN}\n-->\n"),
    unseen("a requirement in an indented block", f"Text:\n\n    - {UNSEEN}\n"),
    unseen("a requirement in a deep list", f"- a\n\n      - {UNSEEN}\n"),
    unseen("a requirement in a paragraph", f"And {UNSEEN}\n"),
    unseen("a requirement that is no item", f"{UNSEEN}\n"),
    unseen("a requirement behind another one", f"- [EV-1007 r1] It MUST be. {UNSEEN}\n"),
    unseen("a requirement in a heading", f"## {UNSEEN}\n"),
    unseen("a requirement in bold", "- **[EV-1009 r1]** It is so.\n"),
    unseen("a requirement behind a task's box", f"- [ ] {UNSEEN}\n".replace("[ ] ", "x ")),
    unseen("a requirement with a colon", "- [EV-1009 r1]: nothing\n"),
    unseen("a fence without an end", f"```\n- {UNSEEN}\n", "```"),
    unseen("a table without an end", "~~~toml spec=log\nfields = []\nevents = []\n~~\n", "~~~toml"),
    document(
        "a kind behind a comma", "SPEC008", "service.md", "toml,spec=routes", "toml spec=routes", "toml,spec=routes"
    ),
    document("two kinds of one table", "SPEC008", "service.md", "spec=routes", "spec=routes", "spec=log spec=routes"),
    document(
        "a key twice",
        "SPEC009",
        "events.md",
        '"type": "obj',
        '"object", "properties"',
        '"object", "type": "object", "properties"',
    ),
    document("a keyword that is none", "SPEC022", "events.md", "propertys", '"properties"', '"propertys"'),
    document("a keyword deep inside that is none", "SPEC022", "events.md", "enums", '"enum"', '"enums"'),
    document("a number that is none", "SPEC007", "events.md", "spec=example", '{"kind": "Slow"}', '{"kind": NaN}'),
    document(
        "a document in two profiles",
        "SPEC009",
        "proof.md",
        '"events.md", "service.md"',
        '["service.md"',
        '["events.md", "service.md"',
    ),
    document(
        "a document twice in a profile",
        "SPEC009",
        "proof.md",
        '"service.md", "service',
        '["service.md"',
        '["service.md", "service.md"',
    ),
    document("a day that no month has", "SPEC007", "proof.md", "02-31", "2026-01-31", "2026-02-31"),
]
LOCKS = [
    document("another text", "SPEC010", "events.md", "EV-1001", "a kind", "some kind"),
    document("from MUST to MUST NOT", "SPEC011", "events.md", "EV-1001", "**MUST**", "**MUST NOT**"),
    document("an older revision", "SPEC012", "events.md", "EV-1002", "r2", "r1"),
    suite("an id that is used again", "SPEC013", ("specs/events.md", "EV-1005"), buried),
    Broken(
        name="a lock that was made to agree",
        code="SPEC014",
        at=("specs/events.md", "EV-1001"),
        edit=(LOCK, "have a kind", "have one kind"),
    ),
    Broken(name="no lock", code="SPEC015", at=(LOCK, ""), files={LOCK: None}, is_locked=False),
    Broken(
        name="a revision that the lock has not",
        code="SPEC016",
        at=(LOCK, ""),
        edit=("specs/events.md", "[EV-1003 r1]", "[EV-1003 r2]"),
        is_locked=False,
    ),
    behind("a table that the lock has otherwise", "value = 1", "value = 2"),
    behind("a table less", "toml spec=bounds of=service", "toml"),
    Broken(name="a lock laid out by hand", code="SPEC016", at=(LOCK, ""), edit=(LOCK, "  ", " "), is_locked=False),
    Broken(
        name="marks of a merge", code="SPEC017", at=(LOCK, ""), edit=(LOCK, "{", "<<<<<<< HEAD\n{"), is_locked=False
    ),
    suite("a text that the base had otherwise", "SPEC010", ("specs/events.md", "EV-1001"), another_text),
    Broken(
        name="a text that lock and base had otherwise",
        code="SPEC010",
        at=("specs/events.md", "EV-1001"),
        edit=("specs/events.md", "a kind", "some kind"),
        facts=lambda project: replace(project, base=project.lock),
    ),
    Broken(
        name="no lock, and a base",
        code="SPEC015",
        at=(LOCK, ""),
        files={LOCK: None},
        facts=lambda project: replace(project, base=locked(project.spec)),
        is_locked=False,
    ),
    suite("an id that the base had", "SPEC018", (LOCK, ""), another_id),
]


def agreed(name: str, code: str, source: str, in_code: str, on: str) -> Broken:
    """Add an agreement on properties; the code has a field too few."""
    row = f'[[agreement]]\nwhat = "x"\ndocuments = ["{source}"]\n' + (f'code = ["{in_code}"]\n' if in_code else "")
    return Broken(
        name=name,
        code=code,
        at=("code/b.py", "other") if in_code else ("specs/proof.md", on),
        edit=("specs/proof.md", '[[agreement]]\nwhat = "event"', f'{row}[[agreement]]\nwhat = "event"'),
        files={"code/b.py": "class App:\n    kind: str\n    other: str\n"} if in_code else {},
    )


AGREEMENTS = [
    document("an enumeration that grew", "SPEC024", "events.md", '"Lost"', '"Slow"]', '"Slow", "Lost"]'),
    document("an enumeration that shrank", "SPEC024", "events.md", '["Slow"]', '"Broken", "Slow"]', '"Slow"]'),
    document("an agreement with no table", "SPEC025", "proof.md", "table:paths", "table:routes", "table:paths"),
    document("an agreement with no enumeration", "SPEC025", "proof.md", "x/start/knd", "x/start/kind", "x/start/knd"),
    agreed("properties that no document has", "SPEC307", "properties:x/start", "fields:App:code/b.py", "kind:"),
    agreed("properties that are none", "SPEC025", "properties:x/start/knd", "", "properties:x/start/knd"),
    agreed("properties of nothing", "SPEC025", "properties:x", "", '"properties:x"'),
    agreed("too deep a place", "SPEC025", "enum:x/start/kind/more", "", "kind/more"),
    document("an agreement of an unknown sort", "SPEC025", "proof.md", "list:x", "order:x", "list:x"),
    Broken(name="no profile", code="SPEC026", at=("specs/more.md", ""), files={"specs/more.md": MORE}),
    document("a profile of nothing", "SPEC027", "proof.md", "gone.md", '"proof.md"]', '"proof.md", "gone.md"]'),
]
