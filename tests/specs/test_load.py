"""Reading good documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

import specs
from specs import Level, Specification

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT = """# A title

Prose must be in lower case.

- An item that is no requirement.
- [ADAPT-3001 r2, ORCH-0001, OC-CTRL-0002] A `MUST` in code, and
  a **MUST NOT** in *bold*.

  > - [SSE-1002a r1] Nested, it SHOULD work.

| a | b |
|---|---|
| c | d |

```toml
example = "a fence with a bare language is not read"
```

```toml spec=bounds of=here
[[bound]]
name = "a.b"
value = 1.5
unit = "s"
requirement = "ORCH-0001"
```
"""


def write(folder: Path, **documents: str) -> Path:
    for name, text in documents.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return folder


def test_requirements_are_read_with_level_revision_place_and_older_ids(tmp_path: Path) -> None:
    spec = specs.load_from(write(tmp_path, a=DOCUMENT, README="MUST be skipped"))
    first = spec.requirements["ADAPT-3001"]
    assert (first.level, first.revision, first.line) == (Level.MUST_NOT, 2, 6)
    assert first.document == f"{tmp_path}/a.md"
    assert first.statement == "A `MUST` in code, and a MUST NOT in bold."
    assert spec.requirement("OC-CTRL-0002") is spec.requirement("ADAPT-3001") is first
    assert spec.requirements["SSE-1002a"].level is Level.SHOULD
    assert (spec.bounds["a.b"].value, spec.bounds["a.b"].setting) == (1.5, "")


def test_documents_are_joined(tmp_path: Path) -> None:
    other = "# Other\n\n- [SSE-1009 r1] It MAY be.\n"
    spec = specs.load_from(write(tmp_path, a=DOCUMENT, b=other))
    assert list(spec.requirements) == ["ADAPT-3001", "SSE-1002a", "SSE-1009"]
    with pytest.raises(KeyError):
        spec.requirement("SSE-9999")


def test_line_ends_of_windows_and_text_beyond_ascii_change_no_line(tmp_path: Path) -> None:
    text = "# Título\r\n\r\n- [ADAPT-3001 r1] Ein Wort **MUST** „stehen“ – immer.\r\n"
    (tmp_path / "a.md").write_bytes(text.encode())
    requirement = specs.load_from(tmp_path).requirements["ADAPT-3001"]
    assert (requirement.line, requirement.statement) == (3, "Ein Wort MUST „stehen“ – immer.")


@pytest.fixture
def spec() -> Specification:
    return specs.load()


def test_the_project_s_own_documents_are_read_once(spec: Specification) -> None:
    assert specs.load() is spec
    assert len(spec.requirements) > 200
    assert all(requirement.document.startswith("specs/") for requirement in spec.requirements.values())


def test_no_table_of_ours_is_empty(spec: Specification) -> None:
    tables = [spec.errors, spec.worker_errors, spec.status_rules, spec.redaction_rules, spec.redaction_contexts]
    tables += [spec.metrics, spec.label_budgets, spec.routes, spec.never_served, spec.bounds, spec.environment]
    tables += [spec.log.fields, spec.log.events, spec.engine_errors("any"), spec.engine_errors("llamacpp")]
    tables += [spec.headers(situation) for situation in ("every", "stream", "429")]
    assert all(tables)


@pytest.mark.req("ADAPT-3010", "OC-CTRL-2027", "ADAPT-3010c", "ADAPT-3010e")
def test_both_orders_begin_with_started_and_end_for_good(spec: Specification) -> None:
    adapter, wire = spec.frame_order("adapter"), spec.frame_order("wire")
    assert adapter.legal(adapter.initial) == {"started", "error"}
    assert wire.legal(wire.initial) == {"started"}
    assert wire.events - adapter.events == {"narration"}
    for order in (adapter, wire):
        assert not any(order.legal(state) for state in order.final)
        assert all(to == state for (state, event), to in order.transitions.items() if event == "metrics")


@pytest.mark.req("ADAPT-3001a", "OC-CTRL-2020a")
def test_payloads_of_events_are_closed_but_for_metrics(spec: Specification) -> None:
    for (boundary, event), schema in spec.schemas.items():
        if boundary != "http":
            assert (schema.get("additionalProperties") is False) == (event != "metrics"), (boundary, event)


def test_a_schema_is_ready_for_a_validator(spec: Specification) -> None:
    validator = Draft202012Validator(dict(spec.schema("wire", "token")))
    assert validator.is_valid({"t": "x", "i": 0})
    assert not validator.is_valid({"t": "", "i": 0})
    assert not validator.is_valid({"t": "x", "i": 0, "extra": 1})


def test_samples_are_made_up_the_same_way_every_time(spec: Specification) -> None:
    row = next(row for row in spec.redaction_rules if row.kind == "huggingface")
    sample = row.hides[0]
    assert sample.text == "hf_" + sample.secrets[0]
    assert len(sample.secrets[0]) == 34
    assert sample == next(r for r in specs.load().redaction_rules if r.kind == "huggingface").hides[0]


def test_a_status_row_covers_spans_and_single_numbers(spec: Specification) -> None:
    row = next(row for row in spec.status_rules if row.statuses == "300-499 501")
    assert [row.covers(status) for status in (299, 300, 499, 500, 501, 502)] == [False, True, True, False, True, False]


def test_values_cannot_be_changed(spec: Specification) -> None:
    with pytest.raises(AttributeError):
        spec.errors["INTERNAL"].http = 200  # type: ignore[misc]
    with pytest.raises(AttributeError):
        spec.requirements["ADAPT-3001"].level = Level.MAY  # type: ignore[misc]
