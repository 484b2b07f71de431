"""The small project as one of somebody else: documents of its own, which the kit's catalogue is not for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from specs.__main__ import write_lock

from .project import edit, write

if TYPE_CHECKING:
    from pathlib import Path

LATE = '[[exclusion]]\nid = "CK-02"\nof = "mutant"\nreason = "nothing can be late here"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the folder of a project with documents of its own, which the kit's catalogue is not for."""
    write(tmp_path)
    edit(tmp_path, "specs/proof.md", 'proof = "check"', 'proof = "test"')
    edit(tmp_path, "specs/proof.md", LATE, "")
    edit(tmp_path, "specs/proof.md", 'until = "2026-01-31"\n', "")
    edit(tmp_path, "specs/proof.md", "unproved_advice = 0", "unproved_advice = 2")
    edit(tmp_path, "tests/test_it.py", '"EV-1003"', '"EV-1001", "EV-1002", "EV-1003"')
    assert write_lock(tmp_path / "specs") == 0
    return tmp_path
