"""What the llama.cpp adapter can be told, as plain data (TOML or JSON), and the schema of it.

Times are in milliseconds.

Implements: HTU-1001, HTU-1005.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Meta

from adapter_api import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter_api import JsonValue

Milliseconds = Annotated[int, Meta(ge=1)]
Tokens = Annotated[int, Meta(ge=1)]
Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]
_CREDENTIAL: dict[str, object] = {"writeOnly": True}


class Timeouts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The time bounds of each phase, in milliseconds."""

    connect_ms: Annotated[Milliseconds, Meta(description="Longest wait for a connection.")] = 5_000
    first_token_ms: Annotated[
        Milliseconds, Meta(description="Longest wait for a slot, the prompt and the first token; also of other calls.")
    ] = 120_000
    idle_ms: Annotated[Milliseconds, Meta(description="Longest silence between tokens.")] = 30_000
    total_ms: Annotated[
        Milliseconds | None, Meta(description="Longest time for a whole request; absent means only its own deadline.")
    ] = None
    health_ms: Annotated[Milliseconds, Meta(description="Longest wait for a report (health, props).")] = 2_000


class LlamaCppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one llama.cpp server."""

    url: Annotated[str, Meta(min_length=1, description="Address of the server, with its `--api-prefix` if it has one.")]
    api_key: Annotated[Secret | None, Meta(description="The server's `--api-key`.", extra_json_schema=_CREDENTIAL)] = (
        None
    )
    timeouts: Annotated[Timeouts, Meta(description="Time bounds of each phase.")] = Timeouts()
    verify_tls: Annotated[
        bool | str,
        Meta(description="Whether the server's certificate is checked, or the PEM file that it is checked with."),
    ] = True
    proxy: Annotated[
        Secret | None,
        Meta(
            description="Address of an HTTP proxy, which may hold a password; absent means none.",
            extra_json_schema=_CREDENTIAL,
        ),
    ] = None
    model_digest: Annotated[
        Digest | None,
        Meta(description="Digest of the model; absent means that of the model file, where it is on this machine."),
    ] = None
    engine_version: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="What to call the server's version; absent means its own `build_info`."),
    ] = None
    ctx_max: Annotated[
        Tokens | None, Meta(description="Tokens a request may use; absent means what a slot of the server holds.")
    ] = None

    def __repr__(self) -> str:
        return "<LlamaCppSettings>"  # an address may hold a password

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every credential among the settings, a password in the address included."""
        password = urlsplit(self.url).password
        in_url = () if password is None else (Secret(unquote(password)),)
        return (*(secret for secret in (self.api_key, self.proxy) if secret is not None), *in_url)


def parse(settings: Mapping[str, object]) -> LlamaCppSettings:
    """Turn plain data into settings; `msgspec.ValidationError` names the key that is wrong."""
    return msgspec.convert(settings, LlamaCppSettings, dec_hook=_keep_secret)


def schema() -> Mapping[str, JsonValue]:
    """Return the JSON Schema of the settings."""
    (_,), parts = msgspec.json.schema_components(
        [LlamaCppSettings], schema_hook=_secret_schema, ref_template="#/$defs/{name}"
    )
    top = parts["LlamaCppSettings"]
    top["properties"]["timeouts"] = {**parts["Timeouts"], "description": "Time bounds of each phase.", "default": {}}
    return cast("Mapping[str, JsonValue]", {"$schema": "https://json-schema.org/draft/2020-12/schema", **top})


def _keep_secret(wanted: type, value: object) -> object:
    if wanted is Secret and isinstance(value, Secret | str):
        return value if isinstance(value, Secret) else Secret(value)
    raise NotImplementedError(f"no way to read a {wanted.__name__}")


def _secret_schema(wanted: type) -> dict[str, object]:
    if wanted is Secret:
        return {"type": "string"}
    raise NotImplementedError(f"no schema for {wanted.__name__}")
