"""The commented file that `config init` writes.

Made from the JSON Schema: every key with its description and default, so that it cannot fall behind. Keys with a
default stand commented out; what is left is a file that works as it stands, with one pool on a llama.cpp server.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, cast

from adapter_api import load_factory

from .schema import file_schema
from .settings import file_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from adapter_api import AdapterFactory

    Rule = Mapping[str, object]

_HEAD = """\
# Configuration of orchestratord. Check it with `orchestratord config check FILE`.
# A key that is commented out shows its default, or an example where it has none.
"""
_TABLES = {
    "server": "ServerConfig",
    "auth": "AuthConfig",
    "stream": "StreamConfig",
    "history": "HistoryConfig",
    "log": "LogConfig",
}
_POOL_TABLES = {
    "queue": "QueueConfig",
    "timeouts": "TimeoutsConfig",
    "retry": "RetryConfig",
    "breaker": "BreakerConfig",
    "health": "HealthConfig",
}
_POOL = {"id": '"small"', "engine": '"llamacpp"', "model_ref": '"file:/models/small.gguf"', "default": "true"}
_SETTINGS = {"url": '"http://127.0.0.1:8081"'}
_STAND_INS = {"integer": "1", "number": "1.0", "boolean": "false", "array": "[]", "object": "{}"}
_ELSEWHERE = {"replicas", *_POOL_TABLES, "sampler_profiles", "settings"}


def example_text(engines: Iterable[str], factories: Callable[[str], AdapterFactory] = load_factory) -> str:
    """The file as text; the keys of an engine's settings are listed where the engine is installed."""
    lines = [_HEAD]
    for table, definition in _TABLES.items():
        lines += [f"[{table}]", *_keys(_definition(definition), {})]
    lines += ["[[pools]]", *_keys(_definition("PoolConfig"), _POOL)]
    for table, definition in _POOL_TABLES.items():
        lines += [f"[pools.{table}]", *_keys(_definition(definition), {})]
    lines += ["# Named sampling parameters. One table for each:", "# [pools.sampler_profiles.precise]", *_profile(), ""]
    lines += ["[[pools.replicas]]", *_keys(_definition("ReplicaConfig"), {})]
    lines += ["[pools.replicas.settings]", *_settings(engines, factories)]
    return "\n".join(lines).rstrip() + "\n"


def _keys(rules: Mapping[str, Rule], active: Mapping[str, str]) -> Iterator[str]:
    for name, rule in rules.items():
        if name in _ELSEWHERE:
            continue
        yield from _comment(f"{rule.get('description', '')} {_limits(rule)}".strip())
        yield f"{name} = {active[name]}" if name in active else f"# {name} = {_value(rule)}"
        yield ""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 118, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def _limits(rule: Rule) -> str:
    if "enum" in rule:
        return f"[{' | '.join(map(str, cast('list[object]', rule['enum'])))}]"
    least, most = rule.get("minimum"), rule.get("maximum")
    return f"[{least} to {most}]" if most is not None else f"[from {least}]" if least is not None else ""


def _profile() -> Iterator[str]:
    for name, rule in _definition("SamplerProfile").items():
        yield f"# {name} = {_value(rule, prefer_example=True)}  # {rule['description']}"


def _settings(engines: Iterable[str], factories: Callable[[str], AdapterFactory]) -> Iterator[str]:
    engine = _POOL["engine"].strip('"')
    form = file_form(factories(engine).settings_schema) if engine in set(engines) else {"properties": {"url": {}}}
    rules = cast("Mapping[str, Rule]", form["properties"])
    yield from _keys({name: rule for name, rule in rules.items() if "not" not in rule}, _SETTINGS)


def _definition(name: str) -> Mapping[str, Rule]:
    definitions = cast("Mapping[str, Mapping[str, Mapping[str, Rule]]]", file_schema()["$defs"])
    return definitions[name]["properties"]


def _value(rule: Rule, *, prefer_example: bool = False) -> str:
    """A value for the key in TOML: its default, else an example, else something of its type."""
    examples = cast("list[object]", rule.get("examples", []))
    candidates = [*examples, rule.get("default")] if prefer_example else [rule.get("default"), *examples]
    for value in candidates:
        if value is not None:
            return _toml(value)
    return _STAND_INS.get(str(_kind(rule)), '"..."')


def _kind(rule: Rule) -> object:
    """The type of a rule, or of its first choice."""
    choices = cast("list[Rule]", rule.get("anyOf", [])) or [rule]
    return choices[0].get("type")


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f" {key} = {_toml(item)} " for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
