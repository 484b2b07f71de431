"""The shipped vLLM adapter as a subject, in front of the vLLM double, in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.engines.host import Link
from conformance.engines.vllm import VllmDouble, VllmSettings

from .http_engine import HttpSubject

if TYPE_CHECKING:
    from conformance.engines.double import EngineDouble
    from conformance.subject import Situation


def _double(situation: Situation) -> VllmDouble:
    settings = VllmSettings(
        slots=situation.slots,
        max_model_len=8192,
        api_key=situation.canaries["api_key"],
        has_embeddings=True,
        release_s=1.0,
    )
    return VllmDouble(situation.engine_tasks, settings, Link(port=8000))


def _upgrade(double: EngineDouble) -> str:
    assert isinstance(double, VllmDouble)
    double.settings = replace(double.settings, version="0.99.1")
    return double.settings.version


VLLM = HttpSubject(engine="vllm", build=_double, engine_version=VllmSettings().version, upgrade=_upgrade)
