"""One llama.cpp server and what is remembered of the process behind it: version, model, sizes, digest.

Implements: ADAPT-3003, ADAPT-3005.
"""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING, final
from urllib.parse import urlsplit

from http_util.remembered import Remembered

from . import reports
from .digest import ModelDigest

if TYPE_CHECKING:
    from http_util.engine import Engine

    from .reports import EngineFacts
    from .settings import LlamaCppSettings


@final
class Server:
    """The server behind `engine`; `memory` holds the facts from its `/props`."""

    def __init__(self, engine: Engine, settings: LlamaCppSettings) -> None:
        self.engine = engine
        self.memory = Remembered(self._ask)
        self.ctx_limit = settings.ctx_max
        self._digest = ModelDigest(settings.model_digest, may_read=is_this_machine(settings.url))
        self._version = settings.engine_version

    def __repr__(self) -> str:
        return f"<Server {self.engine!r}>"

    @property
    def facts(self) -> EngineFacts | None:
        """What is known of the process, None before it has answered."""
        return self.memory.value

    @property
    def model_digest(self) -> str | None:
        """The digest of the model of the process that is known, as far as it has been worked out."""
        return self._digest.of(None if self.facts is None else self.facts.model_path)

    async def advance_digest(self, budget_bytes: int) -> None:
        """Work on the digest of the model file, if it can be read here."""
        await self._digest.advance(None if self.facts is None else self.facts.model_path, budget_bytes)

    async def _ask(self) -> EngineFacts:
        facts = await self.engine.report("/props", reports.engine_facts)
        return facts if self._version is None else replace(facts, version=self._version)


def is_this_machine(url: str) -> bool:
    """Whether the address is one of loopback, so that the engine's paths are ours."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
