"""What the vLLM adapter can be told beyond what every engine with an HTTP address can.

Implements: HTU-1001, OC-ADAPT-5020.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from http_util.settings import EngineSettings


class VllmSettings(EngineSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one vLLM server; `url` is its root."""

    model: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Model or LoRA adapter to ask for; absent means the first model that the server lists."),
    ] = None
    slots: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="The server's `--max-num-seqs`, which it does not tell; absent means unknown."),
    ] = None
    draws_seed: Annotated[
        bool,
        Meta(
            description="Whether a request without a seed is given one, so that it can be repeated. "
            "vLLM on a CPU dies of a seed if it reads the prompt in parts: see the guide."
        ),
    ] = True
    extra_body: Annotated[
        dict[str, object],
        Meta(description="Fields put into every generation request; they give way to the adapter's own."),
    ] = msgspec.field(default_factory=dict)


def root_url(url: str) -> str:
    """Return the server's root: the address without the `/v1` that clients of its OpenAI routes put there."""
    return re.sub(r"/v1/?$", "", url)
