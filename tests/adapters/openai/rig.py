"""The OpenAI adapter in front of its double."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engines.openai import OpenAiDouble, OpenAiSettings, open_openai
from tests.adapters.http_rig import HttpRig, half, open_http_rig

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from conformance.engines.host import Link
    from conformance.engines.script import Script

Rig = HttpRig[OpenAiDouble]
PLAIN = OpenAiSettings(fingerprint=None)


def open_rig(
    *scripts: Script,
    engine: OpenAiSettings | None = None,
    link: Link | None = None,
    random: Callable[[], float] = half,
    **settings: object,
) -> AbstractAsyncContextManager[Rig]:
    return open_http_rig("openai", open_openai(engine, *scripts, link=link), settings, random)
