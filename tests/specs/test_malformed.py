"""Every way in which a document can be wrong is an error with file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import specs
from specs import Fault, SpecError

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "# Title\n\n- [ADAPT-3001 r1] An event **MUST** have a kind.\n\n"  # what is appended begins on line 5
DIALECT = '"$schema": "https://json-schema.org/draft/2020-12/schema"'


def toml(kind: str, text: str) -> str:
    return f"```toml spec={kind}\n{text.strip()}\n```\n"


def json(kind: str, text: str) -> str:
    return f"```json spec={kind}\n{text.strip()}\n```\n"


ORDER = """
initial = "idle"
final = ["done"]
[transitions.idle]
started = "open"
[transitions.open]
end = "done"
"""
CODE = '[[code]]\ncode = "A"\nhttp = 400\nretriable = false\nin_stream = true\nwhen = "x"\n'
KIND = '[[kind]]\nkind = "K"\ncode = "A"\nretriable = true\nwords = "fixed"\n'
ERROR = '[[error]]\nid = "e"\ncondition = "c"\nphase = "response"\nkind = "K"\nretriable = true\n'
RULE = "[[rule]]\nkind = 'k'\npattern = 'k-\\d+'\nhides = ['k-{digit:9}', 'k-{digit:8}']\npasses = ['k-', 'k']\n"
METRIC = '[budgets]\nengine = 8\n[[metric]]\nname = "m"\ntype = "counter"\nhelp = "h"\nlabels = ["engine"]\n'
ROUTE = '[[route]]\nmethod = "GET"\npath = "/a"\nsuccess = 200\ndoes = "x"\n'
BOUND = '[[bound]]\nname = "b"\nvalue = 1\nunit = "s"\nrequirement = "ADAPT-3001"\n'

STATUS = '[[rule]]\nstatuses = "400"\nkind = "K"\nretriable = true'
SCHEMA = "schema boundary=x event=y"


def order(old: str, new: str) -> str:
    return toml("frame-order boundary=x", ORDER.replace(old, new))


def engine_errors(old: str = "", new: str = "") -> str:
    return toml("engine-errors engine=x", ERROR.replace(old, new))


def rules(old: str, new: str) -> str:
    return toml("redaction-rules", "contexts = []\n" + RULE.replace(old, new))


def metrics(old: str, new: str, more: str = "") -> str:
    return toml("metrics", METRIC.replace(old, new) + more)


PROSE = [
    ("no title", "- [ADAPT-3001 r1] It MUST be.\n", 1, "no title"),
    ("no requirement", "# Title\n\nprose\n", 1, "no requirement"),
    ("an id twice", HEAD + "- [ADAPT-3001 r2] It MUST be.\n", 5, "ADAPT-3001 is defined already, at "),
    ("an older id twice", HEAD + "- [ADAPT-3002 r1, ADAPT-3001] It MUST be.\n", 5, "names ADAPT-3001 already"),
    ("no keyword", HEAD + "- [ADAPT-3002 r1] It must be.\n", 5, "found none"),
    ("a keyword in code only", HEAD + "- [ADAPT-3002 r1] It `MUST` be.\n", 5, "found none"),
    ("two keywords", HEAD + "- [ADAPT-3002 r1] It MUST be and\n  SHOULD stay.\n", 5, "found MUST and SHOULD"),
    ("one keyword twice", HEAD + "- [ADAPT-3002 r1] It MUST be and MUST stay.\n", 5, "found MUST and MUST"),
    ("a foreign keyword", HEAD + "- [ADAPT-3002 r1] It SHALL be.\n", 5, "says SHALL"),
    ("no revision", HEAD + "- [ADAPT-3002] It MUST be.\n", 5, "begins with `[ID r1]`"),
    ("revision 0", HEAD + "- [ADAPT-3002 r0] It MUST be.\n", 5, "begins with `[ID r1]`"),
    ("a bad id", HEAD + "- [adapt-3002 r1] It MUST be.\n", 5, "begins with `[ID r1]`"),
    ("no statement", HEAD + "- [ADAPT-3002 r1]\n", 5, "begins with `[ID r1]`"),
    ("a keyword in prose", HEAD + "Prose, and it\nMUST not say so.\n", 5, "MUST outside a requirement"),
    ("a keyword in a heading", HEAD + "## It MAY be\n", 5, "MAY outside a requirement"),
    ("a keyword in a table", HEAD + "| a |\n|---|\n| MUST |\n", 7, "MUST outside a requirement"),
    (
        "a keyword in a second paragraph",
        HEAD + "- [SSE-1001 r1] It MUST be.\n\n  It MUST NOT be.\n",
        7,
        "MUST NOT outside",
    ),
]
BLOCKS = [
    ("unknown kind", toml("nonsense", ""), 5, "unknown kind of table nonsense"),
    ("no kind", "```toml of=x\n```\n", 5, "`toml spec=KIND key=value ...`"),
    ("a word that is no attribute", "```toml spec=log what\n```\n", 5, "`toml spec=KIND key=value ...`"),
    ("missing attribute", toml("bounds", BOUND), 5, "has the attributes: of"),
    ("attribute too many", toml("log of=x", ""), 5, "has the attributes: none"),
    ("the same table twice", toml("headers on=x", "required = []") * 2, 8, "headers x is there already, at "),
    ("wrong language", json("log", "{}"), 5, "written in TOML, not json"),
    ("schema in TOML", toml("schema boundary=x event=y", ""), 5, "written in JSON, not toml"),
    ("not TOML", toml("log", 'fields = []\nevents = ["a"'), 7, "not TOML"),
    ("not TOML in the middle", toml("log", "fields = []\nevents = oops\nx = 1"), 7, "not TOML"),
    ("not JSON", json("schema boundary=x event=y", '{\n"a": 1,\n}'), 8, "not JSON"),
    ("missing column", toml("routes", ROUTE + ROUTE.replace('method = "GET"\n', "")), 11, "missing required field"),
    ("unknown column", toml("routes", ROUTE + ROUTE + "speed = 3"), 16, "unknown field `speed`"),
    ("wrong type", toml("routes", ROUTE + ROUTE.replace("200", '"200"')), 14, "Expected `int`, got `str`"),
    ("unknown table", toml("routes", ROUTE + "[extra]\na = 1"), 11, "unknown field `extra`"),
    ("missing table", toml("routes", 'never_served = ["/a"]'), 5, "missing required field `route`"),
    ("a bad path", toml("routes", ROUTE.replace("/a", "a")), 8, "matching regex"),
    ("a bad level of detail", toml("worker-errors", KIND.replace("fixed", "some")), 10, "Invalid enum value"),
]
ORDERS = [
    ("unknown target", order('started = "open"', 'started = "opne"'), 9, "leads from idle to opne"),
    ("unknown initial state", order('initial = "idle"', 'initial = "idel"'), 6, "idel is no state"),
    ("a final state goes on", order('["done"]', '["done", "open"]'), 7, "open is final"),
    ("a target that is no text", order('end = "done"', "end = 1"), 11, "leads from open to 1"),
    ("an event without a schema", order("", ""), 5, "the event end has no schema"),
]
SCHEMAS = [
    ("a schema without dialect", json(SCHEMA, "{}"), 5, "a schema is an object with"),
    ("an older dialect", json(SCHEMA, '{"$schema": "http://json-schema.org/draft-07/schema#"}'), 5, "a schema is an"),
    ("no schema", json(SCHEMA, f'{{{DIALECT},\n"properties": {{\n"a": {{"type": "text"}}}}}}'), 8, "not a JSON Schema"),
    (
        "an event off the order",
        toml("frame-order boundary=x", 'initial = "a"\nfinal = ["a"]\n[transitions]') + json(SCHEMA, f"{{{DIALECT}}}"),
        5,
        "y has no place in the order",
    ),
    (
        "a bad example",
        json(SCHEMA, f'{{{DIALECT}, "type": "object"}}') + json("example boundary=x event=y", "3"),
        8,
        "3 is not of type",
    ),
    ("an example of nothing", json("example boundary=x event=z", "{}"), 5, "something that has no schema"),
]
TABLES = [
    ("a code twice", toml("error-codes", CODE + CODE), 12, "A is there twice"),
    ("an unknown code", toml("worker-errors", KIND), 5, "K becomes A, which is no error code"),
    ("a kind twice", toml("error-codes", CODE) + toml("worker-errors", KIND + KIND), 19, "K is there twice"),
    ("an unknown kind", engine_errors(), 10, "K is no kind of worker error"),
    ("a failure twice", toml("engine-errors engine=x", ERROR + ERROR), 12, "e is there twice"),
    ("a fault under HTTP only", engine_errors("[[error]]", '[[error]]\nfault = "f"'), 6, "a row of phase transport"),
    ("no fault", engine_errors("response", "transport"), 6, "a row of phase transport"),
    ("an unknown phase", engine_errors("response", "reply"), 9, "Invalid enum value"),
    ("a status that is none", toml("status-rules", STATUS.replace("400", "4xx")), 7, "regex"),
    ("no such kind for a status", toml("status-rules", STATUS), 8, "K is no kind"),
    ("no pattern", rules("k-\\d+", "k-("), 9, "k: not a pattern"),
    ("an unknown slot", rules("digit:9", "dijit:9"), 7, "unknown slot {dijit:9}"),
    ("a sample in clear", rules("{digit:9}", "12345"), 10, "write it as a slot"),
    ("one sample only", rules(", 'k'", ""), 11, "length >= 2"),
    ("a rule twice", rules("[[rule]]", RULE + "[[rule]]"), 12, "k is there twice"),
    ("a label without a budget", metrics('["engine"]', '["engine", "x"]'), 12, "m: no budget for the label x"),
    ("a histogram without buckets", metrics("counter", "histogram"), 8, "a histogram, and nothing else"),
    ("buckets that fall", metrics("counter", "histogram", "buckets = [2, 1]"), 13, "in rising order"),
    ("a metric twice", metrics("", "", METRIC.partition("8\n")[2]), 13, "m is there twice"),
    ("a route twice", toml("routes", ROUTE + ROUTE), 11, "GET /a is there twice"),
    ("a bound twice", toml("bounds of=x", BOUND) + toml("bounds of=y", BOUND), 14, "b is there twice"),
    ("a bound for nothing", toml("bounds of=x", BOUND.replace("3001", "9999")), 10, "b serves ADAPT-9999, which is no"),
]
CASES = [
    *PROSE,
    *((name, HEAD + text, line, message) for name, text, line, message in [*BLOCKS, *ORDERS, *SCHEMAS, *TABLES]),
]


@pytest.mark.parametrize(("text", "line", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    (tmp_path / "doc.md").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        specs.load_from(tmp_path)
    assert message in caught.value.message
    assert str(caught.value) == f"{tmp_path}/doc.md:{line}: {caught.value.message}"


def test_an_id_of_another_document_is_told_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(HEAD, encoding="utf-8")
    (tmp_path / "b.md").write_text("\n" + HEAD, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        specs.load_from(tmp_path)
    assert (caught.value.file, caught.value.line) == (f"{tmp_path}/b.md", 4)
    assert caught.value.message == f"ADAPT-3001 is defined already, at {tmp_path}/a.md:3"


def test_a_folder_without_documents_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Only a guide\n", encoding="utf-8")
    with pytest.raises(SpecError, match="no document"):
        specs.load_from(tmp_path)


def test_every_malformed_document_is_told_of(tmp_path: Path) -> None:
    bad = "# Title\n\n- [ADAPT-1] It is.\n"
    for name, text in {"a": bad, "b": HEAD, "c": bad}.items():
        (tmp_path / f"{name}.md").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        specs.load_from(tmp_path)
    told = [(each.file, each.line) for each in (caught.value, *caught.value.others)]
    assert told == [(f"{tmp_path}/a.md", 3), (f"{tmp_path}/c.md", 3)]


@pytest.mark.req("GATE-1005b")
def test_what_is_no_file_is_an_error_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(HEAD, encoding="utf-8")
    (tmp_path / "b.md").mkdir()
    (tmp_path / ".#c.md").symlink_to("nobody@nowhere")
    with pytest.raises(SpecError, match=r"\.#c\.md:1: it cannot be read") as caught:
        specs.load_from(tmp_path)
    assert [(each.file, each.fault) for each in caught.value.others] == [(f"{tmp_path}/b.md", Fault.TEXT)]


@pytest.mark.req("GATE-1005d")
def test_other_ends_of_lines_move_no_place(tmp_path: Path) -> None:
    block = toml("routes", ROUTE.replace('"x"', '"one\u2028two\x85three"') + ROUTE)
    text = HEAD.replace("\n", "\r\n", 1) + block
    (tmp_path / "a.md").write_bytes(text.encode())
    with pytest.raises(SpecError) as caught:
        specs.load_from(tmp_path)
    assert caught.value.message == "GET /a is there twice"
    assert caught.value.line == 11
