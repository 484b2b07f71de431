"""What the OpenAI adapter can be told beyond what every engine with an HTTP address can.

The defaults fit servers of the OpenAI kind in general; what OpenAI itself and single servers need is in the guide.

Implements: OC-ADAPT-OAI-6000, OC-ADAPT-OAI-6001, OC-ADAPT-OAI-6004, HTU-1001.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from http_util.settings import EngineSettings

Text = Annotated[str, Meta(min_length=1)]
HeaderText = Annotated[str, Meta(pattern="^[!-~]+$")]


class ExtraSampling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """This server's names for sampling fields that OpenAI has not; without its name a field is refused."""

    top_k: Annotated[Text | None, Meta(description="Its name for `top_k`.")] = None
    min_p: Annotated[Text | None, Meta(description="Its name for `min_p`.")] = None
    repeat_penalty: Annotated[Text | None, Meta(description="Its name for `repeat_penalty`.")] = None


class OpenAISettings(EngineSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one server of the OpenAI kind."""

    model: Annotated[
        Text | None, Meta(description="Model to ask for; absent means the first one that the server lists.")
    ] = None
    api: Annotated[
        Literal["completions", "chat", "responses"],
        Meta(
            description="Which routes are used: text completions for a prompt and chat completions for a chat; chat "
            "completions for both; or the Responses API for both."
        ),
    ] = "completions"
    organization: Annotated[HeaderText | None, Meta(description="Sent as `OpenAI-Organization`.")] = None
    project: Annotated[HeaderText | None, Meta(description="Sent as `OpenAI-Project`.")] = None
    workloads: Annotated[
        frozenset[Literal["completion", "embedding"]] | None,
        Meta(description="What the model is for; absent: completions, and embeddings if the server has the route."),
    ] = None
    max_tokens_field: Annotated[
        Literal["max_tokens", "max_completion_tokens"],
        Meta(description="What a chat's limit is called; OpenAI's own reasoning models know the second name only."),
    ] = "max_tokens"
    sampling_fields: Annotated[
        ExtraSampling,
        Meta(description="This server's names for sampling fields that OpenAI has not; without one they are refused."),
    ] = ExtraSampling()
    takes_seed: Annotated[bool, Meta(description="Whether the server knows `seed`; if not, one is refused.")] = True
    counts_in_stream: Annotated[
        bool, Meta(description="Whether the server knows `stream_options`, by which it is asked for token counts.")
    ] = True
    extra_body: Annotated[
        dict[str, object],
        Meta(description="Fields put into every generation request; they give way to the adapter's own."),
    ] = msgspec.field(default_factory=dict)


def base_url(url: str) -> str:
    """Return the address that routes are appended to: as given if it has a path, else with `/v1`."""
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/v1"
