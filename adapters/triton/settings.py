"""What the Triton adapter can be told, beside what every engine with an HTTP address can be.

`url` is the server's HTTP address (port 8000 by default), which is needed with gRPC too: health and metadata are asked
there. Triton knows no API key; `api_key` is for a proxy before it, or with `key_header` for its restricted APIs.

Implements: HTU-1001, OC-ADAPT-5060.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from http_util.settings import HOST_AND_PORT, Address, EngineSettings, read_settings, settings_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue

GRPC_PORT = 8001
Name = Annotated[str, Meta(min_length=1)]


class Transport(StrEnum):
    """How a completion travels."""

    GENERATE = "generate"
    INFER = "infer"
    GRPC = "grpc"


class DialectName(StrEnum):
    """Which names a model's inputs have."""

    AUTO = "auto"
    TRTLLM = "trtllm"
    LLMAPI = "llmapi"
    VLLM = "vllm"


class TextMode(StrEnum):
    """What the text of a response is: the next piece, or all text so far."""

    AUTO = "auto"
    DELTA = "delta"
    CUMULATIVE = "cumulative"


class EmbeddingModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that makes a vector of each text."""

    model: Annotated[Name, Meta(description="Name of the model.")]
    input: Annotated[Name, Meta(description="Its input: one text in each row.")] = "text_input"
    output: Annotated[Name, Meta(description="Its output: one vector in each row.")] = "embedding"


class RerankModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that scores documents against a query."""

    model: Annotated[Name, Meta(description="Name of the model.")]
    query: Annotated[Name, Meta(description="Its input for the query, which is repeated in each row.")] = "query"
    document: Annotated[Name, Meta(description="Its input for the documents: one in each row.")] = "document"
    output: Annotated[Name, Meta(description="Its output: one score in each row.")] = "score"


class TritonSettings(EngineSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one Triton server and the model on it."""

    model: Annotated[Name, Meta(description="Name of the model that completes.")]
    model_version: Annotated[
        Annotated[str, Meta(pattern="^[0-9]+$")] | None,
        Meta(description="Version of the model; absent means what the server chooses."),
    ] = None
    transport: Annotated[
        Transport,
        Meta(description="How completions travel: `generate` (HTTP stream), `infer` (HTTP, one piece) or `grpc`."),
    ] = Transport.GENERATE
    grpc_url: Annotated[
        Annotated[
            str,
            Meta(
                pattern=r"^grpcs?://" + HOST_AND_PORT + "/?$",
                extra_json_schema={"$comment": "expected grpc://HOST[:PORT] or grpcs://..."},
            ),
        ]
        | None,
        Meta(description="Address for gRPC, with port 8001 unless it names one; transport `grpc` needs it."),
    ] = None
    metrics_url: Annotated[
        Address | None,
        Meta(description="Address of the server's `/metrics` without the path; absent means no metrics are read."),
    ] = None
    dialect: Annotated[
        DialectName, Meta(description="Names of the model's inputs; `auto` finds out from the model's metadata.")
    ] = DialectName.AUTO
    text: Annotated[
        TextMode,
        Meta(
            description="Whether each response holds the next piece of text or all of it; `auto` as the dialect does."
        ),
    ] = TextMode.AUTO
    stop_by_request_id: Annotated[
        bool, Meta(description="Whether the model stops a request on a second one with its id and `stop`.")
    ] = False
    stop_model: Annotated[
        Name | None, Meta(description="Model that takes the stop request; absent means `model` itself.")
    ] = None
    key_header: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9-]+$")] | None,
        Meta(description="Header for `api_key` as a restricted API wants it; absent sends it as a bearer token."),
    ] = None
    embedding: Annotated[
        EmbeddingModel | None, Meta(description="Model for embeddings; absent means there is none.")
    ] = None
    rerank: Annotated[RerankModel | None, Meta(description="Model for reranking; absent means there is none.")] = None
    tensorrt_llm_version: Annotated[
        Name | None,
        Meta(description="Version of TensorRT-LLM; absent means what the model's configuration tells, if it does."),
    ] = None

    @property
    def headers(self) -> Mapping[str, str] | None:
        """The header that carries the key as a restricted API wants it; None leaves it to the common rule."""
        if self.api_key is None or self.key_header is None:
            return None
        return {self.key_header: self.api_key.reveal()}

    @property
    def grpc_metadata(self) -> Mapping[str, str]:
        """What carries the key in a gRPC call."""
        if self.api_key is None:
            return {}
        if self.key_header is None:
            return {"authorization": f"Bearer {self.api_key.reveal()}"}
        return {f"triton-grpc-protocol-{self.key_header.lower()}": self.api_key.reveal()}

    @property
    def grpc_address(self) -> tuple[str, int, bool]:
        """Host, port and whether to use TLS; `ValueError` without an address.

        None is guessed from `url`: what is reached is what the settings name, so that an egress policy can go by them.
        """
        if self.grpc_url is None:
            raise ValueError("transport `grpc` needs `grpc_url`")
        given = urlsplit(self.grpc_url)
        return given.hostname or "", given.port or GRPC_PORT, given.scheme == "grpcs"


def schema() -> Mapping[str, JsonValue]:
    """Return the JSON Schema of the settings, with what `parse` holds them to beyond each key."""
    rule: Mapping[str, JsonValue] = {
        "if": {"properties": {"transport": {"const": Transport.GRPC.value}}, "required": ["transport"]},
        "then": {"required": ["grpc_url"]},
    }
    return {**settings_schema(TritonSettings), **rule}


def parse(settings: Mapping[str, object]) -> TritonSettings:
    """Turn plain data into settings; raise `msgspec.ValidationError`, or `ValueError` for what cannot be together."""
    given = read_settings(TritonSettings, settings)
    if given.transport is Transport.GRPC:
        _ = given.grpc_address
        if given.proxy is not None:
            raise ValueError("transport `grpc` does not go through `proxy`")
    return given
