"""The form of a request's fields, as vLLM's data model knows it, with the words for what is wrong.

Pure. Only the fields that the double looks at are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from adapter_api import JsonValue

    Fault = dict[str, object]
    Check = Callable[[JsonValue], Iterator[Fault]]

_INTEGERS = ("max_tokens", "max_completion_tokens", "n", "seed", "top_k", "min_tokens", "logprobs", "top_logprobs")
_BOOLEANS = ("stream", "echo", "ignore_eos", "return_token_ids")
_WORDS_FOR_BOOLEANS = frozenset({"true", "false", "0", "1", "on", "off", "yes", "no", "t", "f", "y", "n"})
_LARGEST_SEED = 2**63 - 1
NUMBERS = ("temperature", "top_p", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty")


def faults_of(value: Mapping[str, JsonValue], required: tuple[str, ...]) -> list[Fault]:
    """Return everything that is wrong with the form of a body's fields."""
    faults = [missing(field, value) for field in required if field not in value]
    given = ((check, value[name]) for name, check in _FORMS.items() if value.get(name) is not None)
    return faults + [fault for check, field in given for fault in check(field)]


def missing(field: str, value: Mapping[str, JsonValue]) -> Fault:
    """Return the fault of a body without a field that it needs."""
    return {"type": "missing", "loc": f"body.{field}", "msg": "Field required", "input": shown(value)}


def shown(value: object) -> str:
    """Return a value as a refusal shows it."""
    if isinstance(value, dict):
        return f"<dict of {len(value)} items>"
    return f"<list of {len(value)} items>" if isinstance(value, list) else str(value)


def _fault(name: str, kind: str, words: str, value: JsonValue, **more: object) -> Iterator[Fault]:
    yield {"type": kind, "loc": f"body.{name}", "msg": f"Input should be {words}", "input": shown(value), **more}


def _integer(name: str) -> Check:
    def check(value: JsonValue) -> Iterator[Fault]:
        whole = "a valid integer"
        if isinstance(value, str) and not value.lstrip("-").isdecimal():
            yield from _fault(name, "int_parsing", f"{whole}, unable to parse string as an integer", value)
        elif isinstance(value, float) and not value.is_integer():
            message = f"{whole}, got a number with a fractional part"
            yield from _fault(name, "int_from_float", message, value)
        elif isinstance(value, list | dict):
            yield from _fault(name, "int_type", whole, value)
        elif name == "seed" and isinstance(value, int) and value > _LARGEST_SEED:
            at_most = f"less than or equal to {_LARGEST_SEED}"
            yield from _fault(name, "less_than_equal", at_most, value, ctx={"le": _LARGEST_SEED})

    return check


def _number(name: str) -> Check:
    def check(value: JsonValue) -> Iterator[Fault]:
        if isinstance(value, str):
            yield from _fault(name, "float_parsing", "a valid number, unable to parse string as a number", value)
        elif isinstance(value, list | dict):
            yield from _fault(name, "float_type", "a valid number", value)

    return check


def _boolean(name: str) -> Check:
    def check(value: JsonValue) -> Iterator[Fault]:
        if isinstance(value, str) and value.lower() not in _WORDS_FOR_BOOLEANS:
            yield from _fault(name, "bool_parsing", "a valid boolean, unable to interpret input", value)
        elif isinstance(value, list | dict):
            yield from _fault(name, "bool_type", "a valid boolean", value)

    return check


def _stop(value: JsonValue) -> Iterator[Fault]:
    if isinstance(value, str):
        return
    wrong = [(n, word) for n, word in enumerate(value) if not isinstance(word, str)] if isinstance(value, list) else []
    if wrong or not isinstance(value, list):
        yield from _fault("stop", "string_type", "a valid string", value)
    if not isinstance(value, list):
        yield from _fault("stop", "list_type", "a valid list", value)
    for n, word in wrong:
        yield from _fault(f"stop.{n}", "string_type", "a valid string", word)


def _messages(value: JsonValue) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield from _fault("messages", "list_type", "a valid list", value)


def _prompt(value: JsonValue) -> Iterator[Fault]:
    if not isinstance(value, str | list):
        for kind in ("list", "list", "string", "list"):
            yield from _fault("prompt", f"{kind}_type", f"a valid {kind}", value)


def _tokens(value: JsonValue) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield from _fault("tokens", "list_type", "a valid list", value)


_FORMS: Mapping[str, Check] = {
    "messages": _messages,
    "prompt": _prompt,
    "tokens": _tokens,
    "stop": _stop,
    **{name: _integer(name) for name in _INTEGERS},
    **{name: _number(name) for name in NUMBERS},
    **{name: _boolean(name) for name in _BOOLEANS},
}
"""Field -> what is wrong with the form of a value."""
