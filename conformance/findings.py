"""What a case has to say: the rules it saw broken, or why it could not look.

Finding         a broken rule; the case goes on to see more
Stop            the case cannot go on; its findings say why
NotApplicable   the adapter does not claim what the rule is about
NotTestable     the rule applies and the subject gives no means to try it: counts as a failure
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, by the id of the check that owns it, and how it was broken."""

    check_id: str
    expected: str
    actual: str


@final
class Stop(Exception):
    """End the case: what follows would only repeat a finding that is already there."""


@final
class NotApplicable(Exception):
    """The adapter does not claim what this is about; the text says what."""


@final
class NotTestable(Exception):
    """There is no way to try this here; the text says why."""
