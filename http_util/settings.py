"""What every adapter of an engine with an HTTP address can be told, as plain data, and the JSON Schema of it.

An engine's own settings are a subclass:

    class MySettings(EngineSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
        model: Annotated[str | None, Meta(description="Model to ask for; absent means the first one.")] = None

    settings = read_settings(MySettings, {"url": "http://127.0.0.1:9000"})

Times are in milliseconds. Credentials are `Secret` and are marked `writeOnly` in the schema.

Implements: HTU-1001, HTU-1005, AH-1006.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar, cast
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
_PORT = "([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
HOST_AND_PORT = rf"(\[[0-9A-Fa-f:.]+\]|[^/?#@:\s\[\]]+)(:{_PORT})?"
"""Pattern of `HOST[:PORT]` with a port that there can be, for an address of another scheme."""
Address = Annotated[
    str,
    Meta(
        pattern=rf"^https?://([^/?#@\s]*@)?{HOST_AND_PORT}(/[^?#\s]*)?$",
        extra_json_schema={"$comment": "expected http://HOST[:PORT][/PATH] or https://..., without a query"},
    ),
]
CREDENTIAL: dict[str, object] = {"writeOnly": True}
"""`extra_json_schema` of a setting that holds a secret."""


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


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one engine's server."""

    url: Annotated[Address, Meta(description="Address of the server, with its path prefix if it has one.")]
    api_key: Annotated[
        Secret | None, Meta(description="Key that the server asks for.", extra_json_schema=CREDENTIAL)
    ] = None
    timeouts: Annotated[Timeouts, Meta(description="Time bounds of each phase.")] = Timeouts()
    verify_tls: Annotated[
        bool | str,
        Meta(description="Whether the server's certificate is checked, or the PEM file that it is checked with."),
    ] = True
    proxy: Annotated[
        Secret | None,
        Meta(
            description="Address of an HTTP proxy, which may hold a password; absent means none.",
            extra_json_schema=CREDENTIAL,
        ),
    ] = None
    model_digest: Annotated[
        Digest | None, Meta(description="Digest of the model; absent means what the engine tells, if it does.")
    ] = None
    engine_version: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="What to call the server's version; absent means what the engine tells."),
    ] = None
    ctx_max: Annotated[
        Tokens | None, Meta(description="Tokens a request may use; absent means what the engine tells.")
    ] = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"  # an address may hold a password

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show no more than `repr` does; what a struct brings along would show the address."""
        return []

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every credential among the settings, a password in the address included."""
        given = (getattr(self, name) for name in self.__struct_fields__)
        password = urlsplit(self.url).password
        in_url = () if password is None else (Secret(unquote(password)),)
        return (*(value for value in given if isinstance(value, Secret)), *in_url)


S = TypeVar("S", bound=msgspec.Struct)


def read_settings(kind: type[S], settings: Mapping[str, object]) -> S:
    """Turn plain data into settings; `msgspec.ValidationError` names the key that is wrong."""
    return msgspec.convert(settings, kind, dec_hook=_keep_secret)


def settings_schema(kind: type[msgspec.Struct]) -> Mapping[str, JsonValue]:
    """Return the JSON Schema (2020-12) of the settings, time bounds in place and other tables under `$defs`."""
    (_,), parts = msgspec.json.schema_components([kind], schema_hook=_secret_schema, ref_template="#/$defs/{name}")
    top = parts.pop(kind.__name__)
    if issubclass(kind, EngineSettings):
        top["properties"]["timeouts"] = {**parts.pop("Timeouts"), "description": "Time bounds.", "default": {}}
    more = {"$defs": parts} if parts else {}
    return cast("Mapping[str, JsonValue]", {"$schema": "https://json-schema.org/draft/2020-12/schema", **top, **more})


def _keep_secret(wanted: type, value: object) -> object:
    if wanted is Secret and isinstance(value, Secret | str):
        return value if isinstance(value, Secret) else Secret(value)
    if wanted is object:  # a setting that takes any JSON
        return value
    raise TypeError(f"no way to read a {wanted.__name__}")


def _secret_schema(wanted: type) -> dict[str, object]:
    if wanted is Secret:
        return {"type": "string"}
    if wanted is object:
        return {"description": "Any JSON value."}
    raise TypeError(f"no schema for {wanted.__name__}")
