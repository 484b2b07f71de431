"""Code is read and not run: which words and marks it has, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.gate.marks import marked_tests
from conformance.gate.source import check_places
from conformance.gate.words import words_in_code

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.gate.finding import Finding

CODE = '''raise SystemExit("this is read and not run")


class Color(StrEnum):
    """A doc string is no value."""

    RED = "red"
    BLUE: str = "blue"
    COUNT = 3


class Dog(Animal):
    sound = "woof"
    name, other = "a", "b"


METRICS = (Metric("first_total", Kind.COUNTER), module.Metric("second_total"), Metric(NAME), Other("x"))


@app.get("/a/<b>/<int:c>")
@app.delete("/a/<b>/<int:c>")
def route(): ...


@cached.get("no path")
async def other(): ...


class Body:
    kind: ClassVar[str] = "body"
    size: int
    mode: Literal["slow", "fast"] | typing.Literal["still"] | None = None
    _own: int
'''
TESTS = """import pytest

pytestmark = pytest.mark.req("A-0001")


@pytest.mark.req("A-0002", "A-0003")
@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.req("A-0004"))])
def test_one(x): ...


class TestTwo:
    @pytest.mark.req("A-0005")
    async def test_two(self): ...

    @pytest.mark.skip(reason="no")
    @pytest.mark.req("A-0006")
    def test_three(self): ...

    @pytest.mark.skip
    @pytest.mark.req("A-0009")
    def test_four(self): ...


# @pytest.mark.req("A-0007")
TEXT = '@pytest.mark.req("A-0008")'
"""


def words(root: Path, source: str) -> list[tuple[str, int]]:
    (root / "code").mkdir(exist_ok=True)
    (root / "code/a.py").write_text(CODE, encoding="utf-8")
    found = words_in_code(root, source, [])
    assert {word.place.file for word in found} <= {f"{root}/code/a.py"}
    return [(word.word, word.place.line) for word in found]


@pytest.mark.req("GATE-1003")
@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("enum:Color:code/*.py", [("red", 7), ("blue", 8)]),
        ("attributes:sound:code/a.py", [("woof", 13)]),
        ("calls:Metric:code/a.py", [("first_total", 17), ("second_total", 17)]),
        ("routes:code/*.py", [("GET /a/{b}/{c}", 20), ("DELETE /a/{b}/{c}", 21)]),
        ("fields:Body:code/a.py", [("size", 31), ("mode", 32)]),
        ("literals:mode:code/a.py", [("slow", 32), ("fast", 32), ("still", 32)]),
        ("literals:size:code/a.py", []),
        ("enum:Colour:code/*.py", []),
        ("enum:Color:code/b.py", []),
        ("classes:Color:code/*.py", []),
        ("routes", []),
        ("", []),
    ],
)
def test_words_of_a_place(tmp_path: Path, source: str, found: list[tuple[str, int]]) -> None:
    assert words(tmp_path, source) == found


@pytest.mark.req("GATE-1005d")
def test_a_word_that_is_made_up_while_the_code_runs_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(CODE, encoding="utf-8")
    troubles: list[Finding] = []
    for source in ("enum:Color:a.py", "calls:Metric:a.py", "routes:a.py"):
        words_in_code(tmp_path, source, troubles)
    assert [(each.code_id, each.place.line, each.message.split(" ", 1)[1]) for each in troubles] == [
        ("SPEC312", 9, "3 does not say the word"),
        ("SPEC312", 17, "Metric(NAME) does not say the word"),
    ]


@pytest.mark.req("GATE-1005b")
@pytest.mark.parametrize("pattern", ["/etc/*.py", "**.py", ".", "../*.nothing", "a.py"])
def test_a_pattern_that_leads_nowhere_has_no_words(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "a.py").symlink_to(tmp_path / "gone.py")
    assert words_in_code(tmp_path, f"enum:Color:{pattern}", []) == []


def test_files_are_read_as_python_reads_them(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_bytes("\ufeff".encode() + TESTS.encode())
    (tmp_path / "b_test.py").write_bytes(b"# coding: latin-1\nX = '\xe9\\d'\n" + TESTS.encode())
    troubles: list[Finding] = []
    assert len(marked_tests(tmp_path, troubles)) == 10
    assert not troubles


@pytest.mark.req("GATE-1001")
def test_marks_count_wherever_they_stand_unless_the_test_is_always_skipped(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/test_a.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "deep/helper.py").write_text(TESTS, encoding="utf-8")
    found = [(test.requirement, test.test, test.place.line) for test in marked_tests(tmp_path, [])]
    assert sorted(found) == [
        ("A-0001", "test_a.py::module", 3),
        ("A-0002", "test_a.py::test_one", 6),
        ("A-0003", "test_a.py::test_one", 6),
        ("A-0004", "test_a.py::test_one", 7),
        ("A-0005", "test_a.py::test_two", 12),
    ]


@pytest.mark.req("GATE-1005b")
@pytest.mark.parametrize("text", ["def (", "x = 1\n  y = 2\n", "\0"])
def test_a_file_that_does_not_parse_hides_nothing_else(tmp_path: Path, text: str) -> None:
    (tmp_path / "test_a.py").write_text(text, encoding="utf-8")
    (tmp_path / "test_b.py").write_text(TESTS, encoding="utf-8")
    troubles: list[Finding] = []
    assert len(marked_tests(tmp_path, troubles)) == 5
    assert [(each.code_id, each.place.file) for each in troubles] == [("SPEC311", f"{tmp_path}/test_a.py")]


def test_checks_are_found_where_a_call_builds_them(tmp_path: Path) -> None:
    text = 'A = Check(\n    id="AA-01",\n)\nB = (_about("BB-01", "a title"), 3)\ndef c():\n    return expect("AA-01")\n'
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    assert {id: place.line for id, place in check_places(tmp_path).items()} == {"AA-01": 1, "BB-01": 4}
