from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .pages import PAGES, ROOT, anchors, links

if TYPE_CHECKING:
    from pathlib import Path

INDEX = ROOT / "docs" / "README.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if not leads_somewhere(page, link)]
    assert broken == []


def test_the_index_leads_to_every_page() -> None:
    reached = {(INDEX.parent / link.partition("#")[0]).resolve() for link in links(INDEX)}
    assert set((ROOT / "docs").rglob("*.md")) - {INDEX} <= reached


def leads_somewhere(page: Path, link: str) -> bool:
    if "://" in link:
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors(target))
