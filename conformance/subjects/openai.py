"""The shipped OpenAI adapter as subjects, in front of the OpenAI double, in memory: one for each interface."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.engines.host import Link
from conformance.engines.openai import OpenAiDouble, OpenAiSettings
from conformance.subject import SEED
from conformance.wire_faults import ANY, fault_of
from specs import ErrorPhase

from .http_engine import HttpSubject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.engines.double import EngineDouble
    from conformance.subject import Fault, Situation
    from specs import Specification


def _double(situation: Situation) -> OpenAiDouble:
    settings = OpenAiSettings(
        max_model_len=8192, api_key=situation.canaries["api_key"], release_s=1.0, fingerprint=None
    )
    return OpenAiDouble(situation.engine_tasks, settings, Link())


def _upgrade(double: EngineDouble) -> str:
    """Serve another model: its name is all the version there is."""
    assert isinstance(double, OpenAiDouble)
    double.settings = replace(double.settings, model="tiny-2")
    return double.settings.model


def _responses(spec: Specification) -> Iterator[Fault]:
    """Yield the rows of the interface, with the events of a Responses stream for those of the others."""
    own = spec.engine_errors("openai-responses")
    yield from (replace(fault_of(row), id=f"{row.id}-in-response") for row in own)
    shared = (*spec.engine_errors("openai"), *spec.engine_errors(ANY))
    yield from (fault_of(row) for row in shared if row.phase is not ErrorPhase.STREAM)


OPENAI = HttpSubject(engine="openai", build=_double, engine_version=OpenAiSettings().model, upgrade=_upgrade)
OPENAI_RESPONSES = HttpSubject(
    engine="openai",
    name="openai-responses",
    build=_double,
    engine_version=OpenAiSettings().model,
    settings={"api": "responses"},
    rows=_responses,
    upgrade=_upgrade,
    limits={SEED: "the Responses API has no seed", "own-reasons": "the Responses API tells no reason of its own"},
)
