"""The plain adapter, whole or with one part exchanged, in front of the OpenAI double."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import trio

from conformance.engines.host import Link
from conformance.engines.openai import OpenAiDouble, OpenAiSettings, Quirks
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
_NONE = Quirks()


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


def plain_subject(name: str, part: Part = PlainAdapter, quirks: Quirks = _NONE) -> HttpSubject:
    """Return the plain adapter with `part` in place of the part that it derives from, before a server with `quirks`."""
    return HttpSubject(
        name=name,
        engine="openai",
        build=partial(_double, quirks=quirks),
        engine_version=OpenAiSettings().model,
        factory=PlainFactory(_with(part)),
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


def _double(situation: Situation, quirks: Quirks) -> OpenAiDouble:
    settings = OpenAiSettings(
        max_model_len=8192, api_key=situation.canaries["api_key"], release_s=1.0, fingerprint=None, quirks=quirks
    )
    return OpenAiDouble(situation.engine_tasks, settings, Link())


PLAIN = plain_subject("plain")

ODD = plain_subject(
    "plain-odd",
    quirks=Quirks(
        role="every",
        empty_content="null",
        unfinished="empty",
        empty_first=True,
        usage_on_finish=True,
        has_done=False,
        space="",
        ping="",
        ignores_unknown=True,
    ),
)
"""The same in front of a server with every habit in which servers of its interface differ."""
