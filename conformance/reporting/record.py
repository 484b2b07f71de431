"""What `report.json` holds, as types: one run, made of what the run found and nothing else.

No time of day, no duration of the run, no fact of the machine: two runs against an adapter with one seed make the same
bytes. `report.schema.json` beside this file says the same to other programs; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

FORMAT = "orchestratord-conformance-report/2"
_WORST_FIRST = (
    "fail", "nondeterministic", "kit-error", "stale-baseline", "not-testable", "warn", "expected-failure",
)  # fmt: skip


class Suite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The kit that ran, and the specification that it held the adapter to; `sha256` is that of all requirements."""

    version: str
    requirements: int
    sha256: str


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A requirement: its level, its sentence, and where that stands."""

    level: str
    document: str
    line: int
    statement: str


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way in which a rule was broken."""

    expected: str
    actual: str


class Moment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry of a transcript, in virtual time or in a service's; `is_wrong` marks where it went wrong."""

    number: int
    at_s: float
    who: str
    what: str
    is_wrong: bool


class BrokenCase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A case that broke a check: the first of the `found` findings, and of the `entries` those where it went wrong."""

    scene: str
    case: str
    seed: int
    given: tuple[str, ...]
    findings: tuple[Found, ...]
    found: int
    moments: tuple[Moment, ...]
    entries: int
    reproduce: str


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one check came out: `played` cases of its own, `broken` cases in all, the first of them in `cases`.

    `is_out_of_reach` says that it needs an engine that does as it is told, and this one was a running one.
    """

    id: str
    title: str
    group: str
    level: str
    outcome: str
    is_out_of_reach: bool
    reason: str
    requirements: tuple[str, ...]
    scenes: tuple[str, ...]
    causes: tuple[str, ...]
    played: int
    broken: int
    cases: tuple[BrokenCase, ...]
    text: str

    @property
    def is_told(self) -> bool:
        """Whether there is something to tell of it: it failed, warned, could not be tested."""
        return self.outcome not in {"pass", "not-applicable"}


class KitError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A case that ended by a fault of the kit."""

    scene: str
    case: str
    seed: int
    trace: str


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run against the adapter or the service `subject`; `totals` has a count for each outcome seen.

    `is_whole` says that no check of the suite was left out, `is_black_box` that it was a running service, or that there
    was a running engine behind the adapter, in real time: nothing was induced in it, and the next run may differ.
    """

    format: str
    suite: Suite
    kind: str
    subject: str
    seed: int
    is_whole: bool
    is_black_box: bool
    verdict: str
    exit_code: int
    cases: int
    totals: Mapping[str, int]
    groups: Mapping[str, Mapping[str, int]]
    checks: tuple[CheckResult, ...]
    requirements: Mapping[str, Rule]
    kit_errors: tuple[KitError, ...]
    reproduce: str

    @property
    def broken(self) -> tuple[CheckResult, ...]:
        """The checks that have something to tell, what is worst first."""
        told = (check for check in self.checks if check.is_told)
        return tuple(sorted(told, key=lambda check: _WORST_FIRST.index(check.outcome)))


def json_text(record: Record) -> str:
    """Return the text of `report.json`."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2).decode() + "\n"


def read_record(text: str | bytes) -> Record:
    """Return the record that the text of a file holds; raise `msgspec.DecodeError` if it holds none."""
    return msgspec.json.decode(text, type=Record)
