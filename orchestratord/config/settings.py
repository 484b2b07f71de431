"""A replica's `settings`: checked against the adapter's own schema, with the credentials put in.

A property that the schema marks `"writeOnly": true` is a credential: the file gives it as `NAME_env` or `NAME_file`,
and the adapter gets it as a `Secret` under `NAME`. A credential written in plain is refused; code that builds a
configuration may put a `Secret` there itself.

Implements: OC-CONFIG-6031.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from .problems import Problem
from .secrets import SecretError, from_file, from_variable
from .shape import shape_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter_api import Secret

    from .problems import KeyPath

    Schema = Mapping[str, object]

# No JSON value has none of these types, but a `Secret` that code put there has.
_EVERY_JSON_TYPE = ["null", "boolean", "number", "string", "array", "object"]


def file_form(schema: Schema) -> dict[str, object]:
    """Turn an adapter's schema into that of the same settings in the file: each credential by reference."""
    properties: dict[str, object] = {}
    rules: list[object] = []
    secrets = set(_credentials(schema))
    for name, rule in _properties(schema).items():
        properties |= _by_reference(name, rule) if name in secrets else {name: file_form(rule)}
        rules += _rules_of(name, schema) if name in secrets else []
    form = {**schema, "properties": properties} if properties else dict(schema)
    if "required" in form:
        form["required"] = [name for name in _required(schema) if name not in secrets]
    return {**form, "allOf": rules} if rules else form


def resolve_settings(
    settings: Mapping[str, object], schema: Schema, environ: Mapping[str, str], *, at: KeyPath
) -> tuple[dict[str, object], list[Problem]]:
    """Return the settings as the adapter takes them, and what is wrong with them; `at` is where they stand."""
    problems = shape_problems(settings, file_form(schema), at=at, quote=False)
    resolved = _with_credentials(settings, schema, environ, at, problems)
    return resolved, problems


def _with_credentials(
    settings: Mapping[str, object], schema: Schema, environ: Mapping[str, str], at: KeyPath, problems: list[Problem]
) -> dict[str, object]:
    inner = _properties(schema)
    references = {f"{name}_{kind}": name for name in _credentials(schema) for kind in ("env", "file")}
    resolved: dict[str, object] = {}
    for key, value in settings.items():
        if isinstance(value, dict) and key in inner:
            resolved[key] = _with_credentials(value, inner[key], environ, (*at, key), problems)
        elif key not in references:
            resolved[key] = value
        elif isinstance(value, str):
            try:
                resolved[references[key]] = _read(key, value, environ)
            except SecretError as error:
                problems.append(Problem((*at, key), str(error)))
    return resolved


def _read(key: str, value: str, environ: Mapping[str, str]) -> Secret:
    return from_file(value) if key.endswith("_file") else from_variable(value, environ)


def _by_reference(name: str, rule: Schema) -> dict[str, object]:
    about = str(rule.get("description", "")).rstrip(".") or name
    text = {"type": "string", "minLength": 1}
    return {
        f"{name}_env": {**text, "description": f"Environment variable that holds it: {about}."},
        f"{name}_file": {**text, "description": f"File that holds it: {about}."},
        name: {
            "not": {"type": _EVERY_JSON_TYPE},
            "$comment": "a credential is not written in the configuration: remove it here and give "
            f'{name}_env = "VARIABLE" or {name}_file = "PATH"',
        },
    }


def _rules_of(name: str, schema: Schema) -> Iterator[object]:
    env, file = f"{name}_env", f"{name}_file"
    yield {"not": {"required": [env, file]}, "$comment": f"has both {env} and {file}: keep one"}
    if name in _required(schema):
        given = [{"required": [key]} for key in (env, file, name)]
        yield {"anyOf": given, "$comment": f"{env} or {file} is required"}


def _credentials(schema: Schema) -> list[str]:
    return [name for name, rule in _properties(schema).items() if rule.get("writeOnly") is True]


def _properties(schema: Schema) -> Mapping[str, Schema]:
    return cast("Mapping[str, Schema]", schema.get("properties", {}))


def _required(schema: Schema) -> list[str]:
    return cast("list[str]", schema.get("required", []))
