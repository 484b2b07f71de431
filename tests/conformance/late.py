"""A broken adapter by a name that the command line finds: its report has transcripts in it."""

from __future__ import annotations

from conformance.subjects import SUBJECTS
from conformance.zoo.cancel_faults import LooksThenWaits
from conformance.zoo.subject import ZooSubject

LATE = ZooSubject("late", SUBJECTS["mock"], LooksThenWaits)
