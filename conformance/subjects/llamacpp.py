"""The shipped llama.cpp adapter as a subject, in front of the llama.cpp double, in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaCppDouble, LlamaSettings, Model

from .http_engine import HttpSubject

if TYPE_CHECKING:
    from conformance.engines.double import EngineDouble
    from conformance.subject import Situation


def _double(situation: Situation) -> LlamaCppDouble:
    settings = LlamaSettings(
        slots=situation.slots,
        n_ctx=8192,
        api_key=situation.canaries["api_key"],
        has_embeddings=True,
        release_s=1.0,
    )
    return LlamaCppDouble(situation.engine_tasks, settings, Link())


def _upgrade(double: EngineDouble) -> str:
    assert isinstance(double, LlamaCppDouble)
    model = replace(double.settings.model, build_info="b9999-5e6f7a8b")
    double.settings = replace(double.settings, model=model)
    return model.build_info


LLAMACPP = HttpSubject(engine="llamacpp", build=_double, engine_version=Model().build_info, upgrade=_upgrade)
