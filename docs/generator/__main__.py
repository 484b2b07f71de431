"""`python -m docs.generator`: write the generated parts of every page anew, and say which pages have changed."""

from __future__ import annotations

import sys

from .pages import BlockError, pages, regenerated


def main() -> int:
    """Write the pages; returns the exit code. A page that cannot be written keeps no other from it."""
    code = 0
    for page in pages():
        before = page.read_text(encoding="utf-8")
        try:
            after = regenerated(before)
        except BlockError as error:
            sys.stderr.write(f"{page}: {error}\n")
            code = 1
            continue
        if after != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{page}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
