"""The lock: the same bytes from the same documents, and nothing changes in silence."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import specs
from specs import EMPTY, DriftKind, Lock, LockError, drift, lock_text, locked, read_lock
from specs.__main__ import write_lock

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = """# Title

## One section, and more

- [SSE-1001 r1] A frame **MUST**
  have a kind.
- [SSE-1002 r2] A frame SHOULD be *short*.
"""


def load(folder: Path, text: str = DOCUMENT) -> specs.Specification:
    (folder / "a.md").write_text(text, encoding="utf-8")
    return specs.load_from(folder)


def changed(folder: Path, old: str, new: str, before: Lock = EMPTY) -> list[DriftKind]:
    lock = locked(load(folder), before)
    assert old in DOCUMENT
    return [each.kind for each in drift(lock, load(folder, DOCUMENT.replace(old, new)))]


@pytest.mark.req("GATE-1004b")
def test_a_lock_has_what_was_agreed_on(tmp_path: Path) -> None:
    first = locked(load(tmp_path)).requirements[0]
    assert (first.id, first.level, first.revision, first.profile) == ("SSE-1001", "MUST", 1, "")
    assert first.place == "a.md#one-section-and-more"
    assert first.text == "A frame MUST have a kind."
    assert first.is_intact


@pytest.mark.req("GATE-1004b")
def test_the_same_documents_give_the_same_bytes_wherever_they_lie_and_however_they_are_laid_out(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    moved = "\n\n" + DOCUMENT.replace("**MUST**\n  have", "MUST have").replace("\n", "\r\n")
    (other / "a.md").write_bytes(moved.encode())
    assert lock_text(locked(load(one))) == lock_text(locked(specs.load_from(other)))


@pytest.mark.req("GATE-1004b")
def test_a_lock_is_read_back_as_it_was_written_and_does_not_change_again(tmp_path: Path) -> None:
    spec = load(tmp_path)
    text = lock_text(locked(spec))
    assert lock_text(read_lock(text)) == text
    assert lock_text(locked(spec, read_lock(text))) == text
    assert [each["id"] for each in json.loads(text)["requirements"]] == ["SSE-1001", "SSE-1002"]


@pytest.mark.req("GATE-1004")
@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("a kind", "one kind", [DriftKind.TEXT]),
        ("r1] A frame **MUST**", "r2] A frame **MUST NOT**", []),
        ("A frame **MUST**", "A frame **MUST NOT**", [DriftKind.LEVEL]),
        ("SSE-1002 r2", "SSE-1002 r1", [DriftKind.BACK]),
        ("SSE-1002 r2", "SSE-1002 r3", []),
        ("**MUST**\n  have", "MUST have", []),
        ("*short*", "short", []),
        ("- [SSE-1002 r2]", "- [SSE-1003 r1] It MAY be.\n- [SSE-1002 r2]", []),
    ],
)
def test_what_changes_in_silence_is_found(tmp_path: Path, old: str, new: str, kinds: list[DriftKind]) -> None:
    assert changed(tmp_path, old, new) == kinds


@pytest.mark.req("GATE-1004a")
def test_an_id_that_was_taken_out_leaves_a_tombstone_for_good(tmp_path: Path) -> None:
    before = locked(load(tmp_path))
    without = load(tmp_path, DOCUMENT.replace("- [SSE-1002 r2] A frame SHOULD be *short*.\n", ""))
    lock = locked(without, before)
    assert [(each.id, each.revision, each.text) for each in lock.removed] == [
        ("SSE-1002", 2, "A frame SHOULD be short."),
    ]
    assert locked(without, lock) == lock
    again = drift(lock, load(tmp_path))
    assert [(each.kind, each.id, each.line) for each in again] == [(DriftKind.REUSED, "SSE-1002", 7)]
    assert locked(load(tmp_path), lock).removed == lock.removed


@pytest.mark.req("GATE-1004a")
def test_a_tombstone_names_the_id_that_took_over(tmp_path: Path) -> None:
    before = locked(load(tmp_path))
    lock = locked(load(tmp_path, DOCUMENT.replace("[SSE-1002 r2]", "[SSE-1003 r1, SSE-1002]")), before)
    assert [(each.id, each.successor) for each in lock.removed] == [("SSE-1002", "SSE-1003")]


@pytest.mark.req("GATE-1004b")
def test_a_lock_that_was_written_by_hand_is_found(tmp_path: Path) -> None:
    spec = load(tmp_path)
    text = lock_text(locked(spec)).replace("have a kind", "have one kind")
    assert DriftKind.EDITED in [each.kind for each in drift(read_lock(text), spec)]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 2}', '{"requirements": [{"id": "X"}]}', '{"extra": 1}'])
def test_what_is_no_lock_is_an_error(text: str) -> None:
    with pytest.raises(LockError):
        read_lock(text)


@given(text=st.text())
def test_any_text_is_a_lock_or_an_error(text: str) -> None:
    with suppress(LockError):
        assert lock_text(read_lock(text))


def test_the_command_writes_once_and_refuses_what_it_may_not_follow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(tmp_path)
    assert write_lock(tmp_path, is_check=True) == 1
    assert write_lock(tmp_path) == 0
    before = (tmp_path / specs.LOCK).read_bytes()
    assert write_lock(tmp_path, is_check=True) == write_lock(tmp_path) == 0
    load(tmp_path, DOCUMENT.replace("a kind", "one kind"))
    assert write_lock(tmp_path) == 1
    assert (tmp_path / specs.LOCK).read_bytes() == before
    assert f"{tmp_path}/a.md:5: SSE-1001 reads differently" in capsys.readouterr().err
    load(tmp_path, DOCUMENT.replace("a kind", "one kind").replace("SSE-1001 r1", "SSE-1001 r2"))
    assert write_lock(tmp_path) == 0


TABLE = '\n```toml spec=routes\n[[route]]\nmethod = "GET"\npath = "/a"\nsuccess = 200\ndoes = "x"\n```\n'


@pytest.mark.req("GATE-1004c")
@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("", "", True),
        ('method = "GET"\npath = "/a"', "path = '/a'  # the only one\nmethod   = \"GET\"", True),
        ("[[route]]", "\n\n[[ route ]]", True),
        ("200", "201", False),
        ("/a", "/b", False),
        ("[[route]]", "never_served = []\n[[route]]", False),
    ],
)
def test_a_table_is_locked_by_what_it_says(tmp_path: Path, old: str, new: str, *, is_same: bool) -> None:
    lock = locked(load(tmp_path, DOCUMENT + TABLE))
    assert list(lock.by_name()) == ["routes"]
    again = locked(load(tmp_path, DOCUMENT + TABLE.replace(old, new)), lock)
    assert (lock_text(again) == lock_text(lock)) == is_same
    assert lock_text(locked(load(tmp_path), lock)) != lock_text(lock)


@pytest.mark.req("GATE-1006")
def test_what_was_said_before_stays_in_the_lock(tmp_path: Path) -> None:
    lock = locked(load(tmp_path))
    for revision, text in ((2, "one kind"), (5, "two kinds")):
        now = DOCUMENT.replace("SSE-1001 r1", f"SSE-1001 r{revision}").replace("a kind", text)
        lock = locked(load(tmp_path, now), lock)
    first = read_lock(lock_text(lock)).by_id()["SSE-1001"]
    assert [first.text_at(revision) for revision in (1, 2, 3, 5)] == [
        "A frame MUST have a kind.",
        "A frame MUST have one kind.",
        None,
        "A frame MUST have two kinds.",
    ]
    assert lock_text(locked(load(tmp_path, now), lock)) == lock_text(lock)
