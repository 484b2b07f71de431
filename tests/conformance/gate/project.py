"""A small project in which everything agrees, on disk and as facts; tests break it in one way each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

from conformance.check import Level
from conformance.gate import baseline
from conformance.gate.facts import CheckFact, Evidence, MutantFact, Pin, Project, Run
from conformance.gate.finding import Place
from conformance.gate.gathering import Sources, gather
from conformance.outcome import Outcome
from specs.__main__ import write_lock

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 1, 15)
DIALECT = '"$schema": "https://json-schema.org/draft/2020-12/schema"'

EVENTS = f"""# Events

- [EV-1001 r1] An event **MUST** have a kind.
- [EV-1002 r2] An event **MUST NOT** be late.
- [EV-1003 r1] An event **MUST** look the same everywhere.
- [EV-1004 r1] An event SHOULD be short.
- [EV-1005 r1] An event MAY be dull.

```toml spec=frame-order boundary=x
initial = "idle"
final = ["done"]
[transitions.idle]
start = "open"
[transitions.open]
stop = "done"
```

```json spec=schema boundary=x event=start
{{{DIALECT}, "type": "object", "properties": {{"kind": {{"enum": ["Broken", "Slow"]}}}}}}
```

```json spec=schema boundary=x event=stop
{{{DIALECT}, "type": "object"}}
```

```json spec=example boundary=x event=start
{{"kind": "Slow"}}
```
"""
SERVICE = """# Service

- [SV-1001 r1, OLD-0001] The service **MUST** answer.
- [SV-1002 r1] The service **MUST** be bounded.

```toml spec=routes
never_served = ["/old"]
[[route]]
method = "GET"
path = "/a/{id}"
success = 200
does = "answers"
```

```toml spec=metrics
[budgets]
engine = 8
[[metric]]
name = "tasks_total"
type = "counter"
help = "Tasks."
labels = ["engine"]
```

```toml spec=error-codes
[[code]]
code = "FULL"
http = 429
retriable = true
in_stream = false
when = "it is full"
```

```toml spec=worker-errors
[[kind]]
kind = "Broken"
code = "FULL"
retriable = true
words = "fixed"
[[kind]]
kind = "Slow"
code = "FULL"
retriable = true
words = "fixed"
```

```toml spec=bounds of=service
[[bound]]
name = "queue"
value = 1
unit = "tasks"
requirement = "SV-1002"
```
"""
PROOF = """# Proof

- [PR-1001 r1] Proofs **MUST** be there.

```toml spec=profiles
unproved_advice = 0
[[profile]]
name = "events"
documents = ["events.md"]
proof = "check"
[[profile]]
name = "service"
documents = ["service.md", "proof.md"]
proof = "test"
```

```toml spec=exclusions
[[exclusion]]
id = "EV-1003"
of = "check"
reason = "looks are no behaviour"
until = "2026-01-31"
[[exclusion]]
id = "PR-1001"
of = "test"
reason = "it is proved by being read"
[[exclusion]]
id = "CK-02"
of = "mutant"
reason = "nothing can be late here"
```

```toml spec=agreements
[[agreement]]
what = "route"
documents = ["table:routes"]
code = ["routes:code/*.py"]
[[agreement]]
what = "metric"
documents = ["table:metrics"]
code = ["calls:Metric:code/app.py"]
[[agreement]]
what = "error code"
documents = ["table:error-codes"]
code = ["enum:Code:code/app.py"]
[[agreement]]
what = "kind"
documents = ["table:worker-errors", "enum:x/start/kind"]
code = ["attributes:kind:code/app.py"]
[[agreement]]
what = "event"
documents = ["order:x"]
```
"""
TESTS = """import pytest


@pytest.mark.req("SV-1001", "EV-1003")
def test_answers():
    pass


class TestBounds:
    @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.req("SV-1002"))])
    def test_bounds(self, n):
        pass
"""
CODE = '''TASKS = Metric("tasks_total", "Tasks.")


class Code(StrEnum):
    """The codes."""

    FULL = "FULL"


class Broken(Error):
    kind = "Broken"


class Slow(Error):
    kind: str = "Slow"


@app.get("/a/<int:name>")
async def answer(name):
    pass
'''
FILES = {
    "specs/events.md": EVENTS,
    "specs/service.md": SERVICE,
    "specs/proof.md": PROOF,
    "tests/test_it.py": TESTS,
    "code/app.py": CODE,
}
CHECKS = (
    CheckFact(id="CK-01", requirements=("EV-1001",), place=Place("checks.py", 1)),
    CheckFact(id="CK-02", requirements=("EV-1002", "EV-1005"), place=Place("checks.py", 2)),
    CheckFact(id="CK-03", requirements=("SV-1001",), place=Place("checks.py", 3)),
    CheckFact(id="CK-04", requirements=("OLD-0001",), place=Place("checks.py", 4)),
    CheckFact(id="CK-05", requirements=("SV-1001",), place=Place("checks.py", 5)),
    CheckFact(id="CK-06", requirements=("EV-1004",), place=Place("checks.py", 6), level=Level.SHOULD),
)
MUTANTS = (
    MutantFact(name="has-no-kind", killed_by="CK-01", place=Place("zoo.py", 1)),
    MutantFact(name="is-mute", killed_by="CK-03", place=Place("zoo.py", 3)),
    MutantFact(name="is-deaf", killed_by="CK-04", place=Place("zoo.py", 4)),
    MutantFact(name="is-gone", killed_by="CK-05", place=Place("zoo.py", 5)),
)
PINS = (
    Pin("CK-01", "EV-1001", 1, Place("pins.toml", 1)),
    Pin("CK-02", "EV-1002", 2, Place("pins.toml", 2)),
    Pin("CK-02", "EV-1005", 1, Place("pins.toml", 3)),
    Pin("CK-03", "SV-1001", 1, Place("pins.toml", 4)),
    Pin("CK-04", "OLD-0001", 1, Place("pins.toml", 5)),
    Pin("CK-05", "SV-1001", 1, Place("pins.toml", 6)),
    Pin("CK-06", "EV-1004", 1, Place("pins.toml", 7)),
)
PASSED = Run(Outcome.PASS, 1)
RUNS = {
    "one": {check.id: PASSED for check in CHECKS} | {"CK-02": Run(Outcome.NOT_APPLICABLE, 0)},
    "two": {"CK-02": PASSED, "CK-06": Run(Outcome.WARN, 1)},
}
EVIDENCE = Evidence(checks=RUNS)


def write(folder: Path) -> Path:
    """Write the project, with its lock."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert write_lock(folder / "specs") == 0
    return folder


def edit(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a text in a file; it has to be there."""
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def sources(folder: Path) -> Sources:
    """Return where the facts of the project are."""
    known = folder / baseline.FILE
    return Sources(
        root=folder,
        documents=folder / "specs",
        tests=folder / "tests",
        today=TODAY,
        baseline=known if known.exists() else None,
    )


def gathered(folder: Path) -> Project:
    """Return the project with its suite and evidence."""
    return replace(gather(sources(folder)), checks=CHECKS, mutants=MUTANTS, pins=PINS, evidence=EVIDENCE)
