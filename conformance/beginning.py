"""Where to begin when many checks fail: the one mistake that most of them follow from. Pure.

One mistake breaks many rules, because a stream that fails fails under every scene. Two signs give it away: a rule that
is broken wherever the others are, and an error that the same streams end with.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .outcome import Outcome
from .transcript import Frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .outcome import CaseReport, CheckReport, SuiteReport

FEW = 3
"""So many failed checks can be read one after the other; for more it is said where to begin."""

ROOTS: Mapping[str, str] = {
    "ERR-05": "an exception that nobody handles leaves the adapter",
    "LIF-10": "something hangs",
    "FRM-01": "streams do not begin with `started`",
    "LIF-03": "streams have no end",
    "FRM-03": "tokens are counted in another way",
    "CAN-01": "tokens come after a cancel",
}
"""Checks whose failure breaks others along with them -> what is wrong then; the deepest first."""


def where_to_begin(report: SuiteReport) -> str | None:
    """Return what to mend first; None where few checks failed, or nothing is common to them."""
    failed = report.having(Outcome.FAIL)
    if len(failed) <= FEW:
        return None
    return _common_rule(failed) or _common_error(failed)


def _common_rule(failed: Sequence[CheckReport]) -> str | None:
    by_id = {each.check.id: each for each in failed}
    followers = {root: _following(failed, root) for root in ROOTS if root in by_id}
    root = max(followers, key=lambda each: followers[each], default=None)
    if root is None or followers[root] * 2 < len(failed) - 1:
        return None
    case = by_id[root].broken_by[0]
    actual = _first_line(case.about(root)[0].actual)
    others = f"{followers[root]} of the other {len(failed) - 1} failed checks broke together with it"
    return f"begin with {root}: {ROOTS[root]} ({actual}); {others}"


def _following(failed: Sequence[CheckReport], root: str) -> int:
    return sum(all(case.about(root) for case in each.broken_by) for each in failed if each.check.id != root)


def _common_error(failed: Sequence[CheckReport]) -> str | None:
    errors = Counter(error for each in failed for error in dict.fromkeys(_errors_of(each.broken_by[0])))
    error, count = next(iter(errors.most_common(1)), ("", 0))
    if count * 2 < len(failed):
        return None
    return f"begin with this error: {error}; streams end with it in {count} of the {len(failed)} failed checks"


def _errors_of(case: CaseReport) -> list[str]:
    frames = [each for each in case.transcript.entries if isinstance(each, Frame) and each.kind == "error"]
    return [f"{frame.data.get('kind')} {frame.data.get('message')!r}" for frame in frames]


def _first_line(text: str) -> str:
    line = text.partition("\n")[0].strip()
    return line if len(line) <= 200 else f"{line[:200]}..."
