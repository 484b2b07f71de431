"""An adapter factory to check settings against, and short ways to a configuration."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapter_api import AdapterNotFound
from orchestratord.config import Config, ConfigError, config_from, load_config

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from adapter_api import AdapterContext, AdapterFactory, JsonValue, WorkerAdapter

SCHEMA: Mapping[str, JsonValue] = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "Where the engine listens."},
        "api_key": {"type": "string", "writeOnly": True, "description": "The engine's key."},
        "verify_tls": {"anyOf": [{"type": "boolean"}, {"type": "string"}], "description": "Check certificates."},
        "mode": {"enum": ["fast", "slow"], "description": "How."},
        "timeouts": {
            "type": "object",
            "properties": {
                "idle_ms": {"type": "integer", "minimum": 1, "description": "Silence allowed."},
                "proxy_password": {"type": "string", "writeOnly": True, "description": "For the proxy."},
            },
            "additionalProperties": False,
            "description": "Bounds.",
        },
    },
    "required": ["url"],
    "additionalProperties": False,
}


class Factory:
    def __init__(self, schema: Mapping[str, JsonValue] = SCHEMA) -> None:
        self.engine = "fake"
        self.settings_schema = schema

    @asynccontextmanager
    async def open(self, settings: Mapping[str, object], context: AdapterContext) -> AsyncIterator[WorkerAdapter]:
        raise AssertionError("a configuration opens no adapter")
        yield


def factories(engine: str) -> AdapterFactory:
    if engine != "fake":
        raise AdapterNotFound(f"no adapter for engine {engine!r} is installed (installed: fake)")
    return Factory()


def pool(**keys: object) -> dict[str, object]:
    replicas = [{"settings": {"url": "http://127.0.0.1:9"}}]
    return {"id": "p", "engine": "fake", "model_ref": "m", "replicas": replicas, **keys}


def replica(**settings: object) -> dict[str, object]:
    return pool(replicas=[{"settings": {"url": "http://127.0.0.1:9", **settings}}])


def configured(data: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None) -> Config:
    return config_from({"pools": [pool()], **(data or {})}, environ, factories)


def refused(data: Mapping[str, object], environ: Mapping[str, str] | None = None) -> list[str]:
    try:
        configured(data, environ)
    except ConfigError as error:
        return str(error).splitlines()
    raise AssertionError("the configuration was accepted")


def refused_file(path: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    path.write_text(text, encoding="utf-8")
    try:
        load_config(path, environ or {}, factories)
    except ConfigError as error:
        return [line.removeprefix(f"{path}:") for line in str(error).splitlines()]
    raise AssertionError("the file was accepted")
