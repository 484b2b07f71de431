"""The shipped TGI adapter as a subject, in front of the TGI double, in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.engines.host import Link
from conformance.engines.tgi import Model, TgiDouble, TgiSettings

from .http_engine import HttpSubject

if TYPE_CHECKING:
    from conformance.engines.double import EngineDouble
    from conformance.subject import Situation


def _double(situation: Situation) -> TgiDouble:
    settings = TgiSettings(
        permits=max(situation.slots, 2),  # with one place in the batch there is still one to wait for it
        batch=situation.slots,
        max_input_tokens=7168,
        max_total_tokens=8192,
        api_key=situation.canaries["api_key"],
    )
    return TgiDouble(situation.engine_tasks, settings, Link())


def _upgrade(double: EngineDouble) -> str:
    assert isinstance(double, TgiDouble)
    model = replace(double.settings.model, version="3.9.9")
    double.settings = replace(double.settings, model=model)
    return model.engine_version


TGI = HttpSubject(engine="tgi", build=_double, engine_version=Model().engine_version, upgrade=_upgrade)
