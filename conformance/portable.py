"""Takes out of a text what differs from one machine to the next: folders, addresses in memory, a traceback's marks.

A report of the same run is to be the same text everywhere. A path is cut to what is below the folder that Python finds
modules in; a text that was cut inside a path loses that path. Pure but for the folders of this process.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")
_MARKS = re.compile(r"^ {4,}[~^]+ *(?:\n|\Z)", re.MULTILINE)  # versions of Python draw them differently
_CUT_PATH = re.compile(r'(File ")[^"\n]*\Z|\A[^"\n]*(", line \d+)')
_SHORTEST = 6  # characters: what is cut away has to be a place of its own


def portable(text: str) -> str:
    """Return the text without what belongs to this machine."""
    for folder in _folders():
        text = text.replace(folder, "")
    return _CUT_PATH.sub(r"\1...\2", _MARKS.sub("", _ADDRESS.sub("0x...", text)))


def _folders() -> list[str]:
    """Return the folders that modules are found in and what is above this package, the longest first."""
    root = Path(__file__).resolve().parents[1]
    places = {str(root), str(Path.home()), sys.prefix, sys.base_prefix, *sys.path}
    return sorted((f"{each.rstrip('/')}/" for each in places if len(each) >= _SHORTEST), key=len, reverse=True)
