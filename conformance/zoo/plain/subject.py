"""The plain adapter, whole or with one part exchanged, in front of the OpenAI double."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import trio

from conformance.engines.host import Link
from conformance.engines.openai import OpenAiDouble, OpenAiSettings
from conformance.subjects.http_engine import HttpSubject

from .adapter import Parts, PlainAdapter
from .answer import Answer
from .connection import Connection
from .events import EventReader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from adapter_api import AdapterContext, JsonValue
    from conformance.subject import Situation

    from .failures import Failures

    Part = type[PlainAdapter | Answer | Connection | EventReader | Failures]

_CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class PlainFactory:
    """Opens a plain adapter of these parts."""

    parts: Parts
    engine: str = "openai"
    settings_schema: ClassVar[Mapping[str, JsonValue]] = {}

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[PlainAdapter]:
        """Open the adapter; leaving the block closes its connections."""
        adapter = self.parts.adapter(settings, context, self.parts)
        try:
            yield adapter
        finally:
            with trio.move_on_after(_CLOSE_S, shield=True):
                await adapter.close()


def plain_subject(name: str, part: Part = PlainAdapter, limits: Mapping[str, str] | None = None) -> HttpSubject:
    """Return the plain adapter with `part` in place of the part that it derives from."""
    return HttpSubject(
        name=name,
        engine="openai",
        build=_double,
        engine_version=OpenAiSettings().model,
        factory=PlainFactory(_with(part)),
        limits=limits or {},
    )


def _with(part: Part) -> Parts:
    if issubclass(part, PlainAdapter):
        return Parts(adapter=part)
    if issubclass(part, Answer):
        return Parts(adapter=PlainAdapter, answer=part)
    if issubclass(part, Connection):
        return Parts(adapter=PlainAdapter, connection=part)
    if issubclass(part, EventReader):
        return Parts(adapter=PlainAdapter, reader=part)
    return Parts(adapter=PlainAdapter, failures=part)


def _double(situation: Situation) -> OpenAiDouble:
    settings = OpenAiSettings(
        max_model_len=8192, api_key=situation.canaries["api_key"], release_s=1.0, fingerprint=None
    )
    return OpenAiDouble(situation.engine_tasks, settings, Link())


PLAIN = plain_subject("plain")
