"""A replica's `settings`: checked against the adapter's own schema, with the credentials put in.

A property that the schema marks `"writeOnly": true` is a credential: the file gives it as `NAME_env` or `NAME_file`,
and the adapter gets it as a `Secret` under `NAME`. A credential written in plain is refused; code that builds a
configuration may put a `Secret` there itself. The mark may stand in the property, in a choice (`anyOf`) inside it, and
in tables within tables.

Implements: OC-CONFIG-6031.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
_CHOICES = ("anyOf", "oneOf")


def file_form(schema: Schema) -> dict[str, object]:
    """Turn an adapter's schema into that of the same settings in the file: each credential by reference."""
    form = dict(schema)
    for choice in (choice for choice in _CHOICES if choice in form):
        form[choice] = [file_form(rule) for rule in _rules(form[choice])]
    if "$defs" in form:
        form["$defs"] = {name: file_form(rule) for name, rule in _named(form["$defs"]).items()}
    if "properties" in form:
        _give_by_reference(_named(form["properties"]), form)
    return form


def resolve_settings(
    settings: Mapping[str, object], schema: Schema, environ: Mapping[str, str], *, at: KeyPath
) -> tuple[dict[str, object], list[Problem]]:
    """Return the settings as the adapter takes them, and what is wrong with them; `at` is where they stand."""
    reading = _Reading(environ, _named(schema.get("$defs", {})))
    resolved = reading.table(settings, schema, at)
    return resolved, shape_problems(settings, file_form(schema), at=at, quote=False) + reading.problems


def keys_of(schema: Schema, table: str) -> list[str]:
    """Return the keys that a table of the settings may have; none if there is no such table."""
    reading = _Reading({}, _named(schema.get("$defs", {})))
    return list(reading.properties(reading.properties(schema).get(table, {})))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One pass over the settings of one replica."""

    environ: Mapping[str, str]
    definitions: Mapping[str, Schema]
    problems: list[Problem] = field(default_factory=list)

    def table(self, settings: Mapping[str, object], schema: Schema, at: KeyPath) -> dict[str, object]:
        """The table with its credentials in place of the references to them."""
        properties = self.properties(schema)
        credentials = [name for name, rule in properties.items() if _is_credential(rule)]
        references = {f"{name}_{kind}": name for name in credentials for kind in ("env", "file")}
        resolved: dict[str, object] = {}
        for key, value in settings.items():
            if key in references:
                resolved |= self._credential(references[key], key, value, (*at, key))
            elif isinstance(value, dict):
                resolved[key] = self.table(value, properties.get(key, {}), (*at, key))
            else:
                resolved[key] = value
        return resolved

    def _credential(self, name: str, key: str, value: object, path: KeyPath) -> dict[str, Secret]:
        if not isinstance(value, str):  # the shape says so already
            return {}
        try:
            return {name: from_file(value) if key.endswith("_file") else from_variable(value, self.environ)}
        except SecretError as error:
            self.problems.append(Problem(path, str(error)))
            return {}

    def properties(self, schema: Schema) -> dict[str, Schema]:
        """The properties of a table, whether they stand in the rule, in a choice or behind a reference."""
        target = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        found = dict(self.properties(self.definitions[target])) if target in self.definitions else {}
        for rule in _choices(schema):
            found |= self.properties(rule)
        return {**found, **_named(schema.get("properties", {}))}


def _give_by_reference(properties: Mapping[str, Schema], form: dict[str, object]) -> None:
    """Put `NAME_env` and `NAME_file` in place of every credential of a table."""
    credentials = [name for name, rule in properties.items() if _is_credential(rule)]
    required = cast("list[str]", form.get("required", []))
    given: dict[str, object] = {}
    for name, rule in properties.items():
        given |= _references(name, rule) if name in credentials else {name: file_form(rule)}
    form["properties"] = given
    if required:
        form["required"] = [name for name in required if name not in credentials]
    if credentials:
        rules = [rule for name in credentials for rule in _rules_of(name, is_required=name in required)]
        form["allOf"] = [*_rules(form.get("allOf", [])), *rules]


def _references(name: str, rule: Schema) -> dict[str, object]:
    about = str(rule.get("description", name)).rstrip(".")
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


def _rules_of(name: str, *, is_required: bool) -> Iterator[object]:
    env, file = f"{name}_env", f"{name}_file"
    yield {"not": {"type": "object", "required": [env, file]}, "$comment": f"has both {env} and {file}: keep one"}
    if is_required:
        given = [{"required": [key]} for key in (env, file, name)]
        yield {"anyOf": given, "$comment": f"{env} or {file} is required"}


def _is_credential(rule: Schema) -> bool:
    return rule.get("writeOnly") is True or any(_is_credential(choice) for choice in _choices(rule))


def _choices(rule: Schema) -> list[Schema]:
    return [choice for keyword in _CHOICES for choice in _rules(rule.get(keyword, []))]


def _rules(value: object) -> list[Schema]:
    return cast("list[Schema]", value)


def _named(value: object) -> Mapping[str, Schema]:
    return cast("Mapping[str, Schema]", value)
