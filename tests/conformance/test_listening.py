"""Records are heard while they are logged, in their order, and nobody else's hearing is touched."""

from __future__ import annotations

import logging

from conformance.capture import capture
from conformance.listening import Record, listening

log = logging.getLogger("heard")


def test_records_come_with_level_logger_and_words() -> None:
    with capture() as caught, listening() as records:
        log.debug("one %s", "two")
        assert records == [Record(logging.DEBUG, "heard", "one two")]
        log.warning("three")
    log.warning("after")
    assert [str(record) for record in records] == ["DEBUG heard: one two", "WARNING heard: three"]
    assert len(caught.logs) == 2, "the hearing of the whole case goes on beside it"


def test_the_handlers_are_as_before() -> None:
    before = logging.getLogger().handlers[:]
    with listening():
        pass
    assert logging.getLogger().handlers == before
