"""The shipped OpenAI adapter as subjects, in front of the OpenAI double, in memory: one for each interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engines.host import Link
from conformance.engines.openai import OpenAiDouble, OpenAiSettings
from conformance.subject import SEED

from .http_engine import HttpSubject

if TYPE_CHECKING:
    from conformance.subject import Situation


def _double(situation: Situation) -> OpenAiDouble:
    settings = OpenAiSettings(
        max_model_len=8192, api_key=situation.canaries["api_key"], release_s=1.0, fingerprint=None
    )
    return OpenAiDouble(situation.engine_tasks, settings, Link())


OPENAI = HttpSubject(engine="openai", build=_double, engine_version=OpenAiSettings().model)
OPENAI_RESPONSES = HttpSubject(
    engine="openai",
    name="openai-responses",
    build=_double,
    engine_version=OpenAiSettings().model,
    settings={"api": "responses"},
    limits={SEED: "the Responses API has no seed"},
)
