"""The shipped llama.cpp adapter as a subject, in front of the llama.cpp double, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engines.host import Link
from conformance.engines.llamacpp import LlamaCppDouble, LlamaSettings, Model

from .http_engine import HttpSubject

if TYPE_CHECKING:
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


LLAMACPP = HttpSubject(engine="llamacpp", build=_double, engine_version=Model().build_info)
