"""The vLLM adapter in front of its double."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.engines.vllm import VllmDouble, VllmSettings, open_vllm
from tests.adapters.http_rig import HttpRig, half, open_http_rig

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from conformance.engines.host import Link
    from conformance.engines.script import Script

Rig = HttpRig[VllmDouble]


def open_rig(
    *scripts: Script,
    engine: VllmSettings | None = None,
    link: Link | None = None,
    random: Callable[[], float] = half,
    **settings: object,
) -> AbstractAsyncContextManager[Rig]:
    return open_http_rig("vllm", open_vllm(engine, *scripts, link=link), settings, random)
