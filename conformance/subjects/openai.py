"""The shipped OpenAI adapter as a subject, in front of the OpenAI double, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engines.host import Link
from conformance.engines.openai import OpenAiDouble, OpenAiSettings

from .http_engine import HttpSubject

if TYPE_CHECKING:
    from conformance.subject import Situation


def _double(situation: Situation) -> OpenAiDouble:
    settings = OpenAiSettings(
        max_model_len=8192, api_key=situation.canaries["api_key"], release_s=1.0, fingerprint=None
    )
    return OpenAiDouble(situation.engine_tasks, settings, Link())


OPENAI = HttpSubject(engine="openai", build=_double, engine_version=OpenAiSettings().model)
