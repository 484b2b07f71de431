"""Keeps the generated parts of the reference pages equal to the tables and parsers they are made from.

A page is written by hand; between `<!-- generated: KIND ARGUMENTS -->` and `<!-- end -->` stands what the named kind of
block makes. `python -m docs.generator` writes those parts anew and leaves the rest alone.
"""

from .pages import BlockError, pages, regenerated

__all__ = ["BlockError", "pages", "regenerated"]
