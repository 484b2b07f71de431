"""What the TGI adapter can be told beyond what every engine's adapter can.

Implements: HTU-1001, OC-ADAPT-5040.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from http_util.settings import EngineSettings


class TgiSettings(EngineSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one TGI server."""

    api: Annotated[
        Literal["native", "openai"],
        Meta(
            description=(
                "How a chat is asked for: `native` applies the model's template through `/chat_tokenize` and streams "
                "from `/generate_stream`; `openai` uses `/v1/chat/completions`. Completions are native always."
            )
        ),
    ] = "native"
    model: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="LoRA adapter to generate with (`adapter_id`); absent means the model itself."),
    ] = None
