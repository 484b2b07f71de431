"""The log: one object a line, masked wherever a secret may stand, and never the end of the service."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, TextIO
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_util.redaction import Redactor
from orchestratord.telemetry import open_log
from tests.support.service_rig import rig_config

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

CANARY = "canary/7f3a91+canary"
HUMAN = 160


def new_log(out: TextIO, **table: object) -> FilteringBoundLogger:
    return open_log(rig_config(log=table).log, Redactor(values=[CANARY]).mapping, out)


def written(**fields: object) -> str:
    out = io.StringIO()
    new_log(out).info("admission", **fields)
    return out.getvalue()


@pytest.mark.req("ORCH-3027")
@given(
    human=st.text(st.characters(), max_size=300),
    fields=st.dictionaries(st.sampled_from("abc"), st.text(st.characters())),
)
def test_any_text_is_one_object_on_one_line(human: str, fields: dict[str, str]) -> None:
    """Line ends, separators, half surrogate pairs: whatever engines and clients say."""
    text = written(human=human, **fields)
    assert text.endswith("\n")
    assert text.count("\n") == 1
    record = json.loads(text)
    assert set(record) == {"ts", "level", "event", "human", *fields}
    text.encode()


@pytest.mark.req("ORCH-3027")
def test_the_first_fields_come_first() -> None:
    record = json.loads(written(job_id="t", target="p", action="a", actor="x", human="admits a task"))
    assert list(record) == ["ts", "level", "event", "human", "actor", "action", "target", "job_id"]
    assert record["level"] == "info"
    assert record["ts"].endswith("Z")


SECRETS: dict[str, dict[str, object]] = {
    "in a text": {"human": f"calls https://u:{CANARY}@host/"},
    "as a whole": {"detail": CANARY},
    "as a key": {CANARY: "x"},
    "in a key": {f"x-{CANARY}": 1},
    "nested": {"detail": {"a": [{"b": f"Bearer {CANARY}"}]}},
    "nested key": {"detail": {"a": {CANARY: 1}}},
    "in an exception's text": {"detail": str(ValueError(f"cannot parse {CANARY!r}"))},
    "in a sequence": {"detail": (CANARY, [CANARY])},
    "across the cut": {"human": "x" * (HUMAN - 8) + CANARY},
    "escaped": {"detail": json.dumps({"key": CANARY})},
    "percent-encoded": {"detail": quote(CANARY, safe="")},
    "beside half a pair": {"detail": f"\udcff {CANARY}"},
}


@pytest.mark.req("HTU-1004", "AH-3001", "HTU-1004a", "HTU-1004f")
@pytest.mark.parametrize("where", SECRETS)
@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_secret_is_masked_wherever_it_stands(where: str, form: str) -> None:
    out = io.StringIO()
    new_log(out, format=form).error("event", **SECRETS[where])
    text = out.getvalue()
    assert text
    for length in (len(CANARY), 6):
        assert CANARY[:length] not in text


@pytest.mark.req("ORCH-3300a", "ORCH-3300")
@pytest.mark.parametrize("length", [HUMAN - 1, HUMAN, HUMAN + 1, 100_000])
def test_the_sentence_is_cut(length: int) -> None:
    human = json.loads(written(human="x" * length))["human"]
    assert len(human) == min(length, HUMAN)
    assert human.endswith("…") == (length > HUMAN)


@pytest.mark.parametrize(("level", "events"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_writes_from_its_level_on(level: str, events: int) -> None:
    out = io.StringIO()
    log = new_log(out, level=level)
    for write in (log.debug, log.info, log.warning, log.error):
        write("event")
    assert out.getvalue().count("\n") == events


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


def test_is_pretty_on_a_terminal_and_json_elsewhere() -> None:
    screen, pipe = Terminal(), io.StringIO()
    for out in (screen, pipe):
        new_log(out, format="auto").info("event", human="admits a task")
    assert not screen.getvalue().startswith("{")
    assert "admits a task" in screen.getvalue()
    assert json.loads(pipe.getvalue())["human"] == "admits a task"


class Broken(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_log_that_cannot_be_written_costs_no_task() -> None:
    closed = io.StringIO()
    closed.close()
    for out in (Broken(), closed):
        new_log(out).error("event", human="x")


@pytest.mark.req("ORCH-3027", "OC-CTRL-2041")
def test_no_text_can_break_a_line_or_steer_a_terminal() -> None:
    breakers = "a\x85b\u2028c\u2029d\x9be\x7ff\x0bg\x1ch\x1b[31m"
    line = written(human=breakers)
    assert len(line.splitlines()) == 1
    assert line.rstrip("\n").isprintable()
    assert json.loads(line)["human"] == breakers
