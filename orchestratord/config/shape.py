"""Checking data against a JSON Schema and saying what is wrong in words.

Serves the file's own schema and every adapter's `settings_schema`. Values are quoted only where the caller allows it:
settings may hold credentials. A schema's `$comment` is the sentence that is said when it is not satisfied.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from .problems import Problem, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

    from adapter_api import JsonValue

    from .problems import KeyPath

_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "a text in quotes",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
}
_TOML_TYPES = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    tuple: "array",
    dict: "object",
}

_checker = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
).redefine("array", lambda _, value: isinstance(value, (list, tuple)))
_Validator = cast(
    "type[Validator]",
    extend(Draft202012Validator, type_checker=_checker),  # type: ignore[no-untyped-call]  # untyped in its stubs
)


def shape_problems(
    data: Mapping[str, object], schema: Mapping[str, object], *, at: KeyPath = (), quote: bool = True
) -> list[Problem]:
    """Find everything in `data` that `schema` forbids; `at` is where `data` stands in the file."""
    errors = _Validator(schema).iter_errors(cast("dict[str, JsonValue]", data))
    found = [problem for error in errors for problem in _explain(error, at, quote=quote)]
    return sorted(found, key=lambda problem: [str(part) for part in problem.path])


def _explain(error: ValidationError, at: KeyPath, *, quote: bool) -> Iterator[Problem]:
    path = (*at, *error.absolute_path)
    if isinstance(error.schema, dict) and "$comment" in error.schema:
        yield Problem(path, str(error.schema["$comment"]))
    elif error.validator in {"anyOf", "oneOf"}:
        yield from _no_choice_fits(error, at)
    elif error.validator == "additionalProperties":
        yield from _unknown_keys(error, path)
    elif error.validator == "required":
        missing = [key for key in cast("list[str]", error.validator_value) if f"'{key}'" == error.message.split(" ")[0]]
        yield from (Problem((*path, key), "this key is required") for key in missing)
    else:
        yield Problem(path, _in_words(error, quote=quote))


def _in_words(error: ValidationError, *, quote: bool = False) -> str:
    words = _WORDS.get(str(error.validator), _own_rule)(error.validator_value, error.instance)
    return f"{words}, got {error.instance!r}" if quote and error.validator in _QUOTED else words


def _no_choice_fits(error: ValidationError, at: KeyPath) -> Iterator[Problem]:
    """Tell what is wrong with the one choice that is meant, where that can be seen, else what each choice expects."""
    branches: dict[object, list[ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    meant = [inner for inner in branches.values() if not any(map(_rules_out, inner))]
    if len(meant) == 1:
        for inner in meant[0]:
            yield from _explain(inner, at, quote=False)
        return
    reasons = [next(filter(_rules_out, inner), inner[0]) for inner in branches.values()]
    told = [reason for reason in reasons if reason.validator_value != "null"]
    words = ", or ".join(dict.fromkeys(_in_words(reason) for reason in told))
    yield Problem((*at, *told[0].absolute_path), words)


def _rules_out(error: ValidationError) -> bool:
    """Whether the error shows that another choice is meant: the wrong type, or the tag of another table."""
    return (error.validator == "type" and not error.relative_path) or error.validator in {"enum", "const"}


def _unknown_keys(error: ValidationError, path: KeyPath) -> Iterator[Problem]:
    known = cast("Mapping[str, object]", error.schema).get("properties", {})
    names = cast("Mapping[str, object]", known)
    for key in cast("Mapping[str, object]", error.instance):
        if key not in names:
            hint = did_you_mean(key, names) or f"; known here: {', '.join(sorted(names))}"
            yield Problem((*path, key), f"unknown key{hint}")


def _wrong_type(expected: object, value: object) -> str:
    names = expected if isinstance(expected, list) else [expected]
    wanted = " or ".join(_TYPES.get(str(name), str(name)) for name in names)
    return f"expected {wanted}, not {_TYPES.get(_TOML_TYPES.get(type(value), ''), type(value).__name__)}"


def _one_of(expected: object, _: object) -> str:
    choices = [f'"{choice}"' for choice in cast("list[object]", expected)]
    return "expected " + ("one of " if len(choices) > 1 else "") + ", ".join(choices)


def _own_rule(expected: object, _: object) -> str:
    return f"does not satisfy the rule {expected!r} of this key"


_WORDS: dict[str, Callable[[object, object], str]] = {
    "type": _wrong_type,
    "enum": _one_of,
    "const": lambda expected, _: f"expected {expected!r}",
    "minimum": lambda expected, _: f"expected at least {expected}",
    "maximum": lambda expected, _: f"expected at most {expected}",
    "exclusiveMinimum": lambda expected, _: f"expected more than {expected}",
    "exclusiveMaximum": lambda expected, _: f"expected less than {expected}",
    "minLength": lambda expected, _: (
        "must not be empty" if expected == 1 else f"expected at least {expected} characters"
    ),
    "maxLength": lambda expected, _: f"expected at most {expected} characters",
    "minItems": lambda expected, _: f"expected at least {expected} of them",
    "maxItems": lambda expected, _: f"expected at most {expected} of them",
    "pattern": lambda expected, _: f"expected a text of the form {expected}",
    "format": lambda expected, _: f"expected a text of the format `{expected}`",
}

_QUOTED = {"enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
