"""What reached an engine, in words that mean the same for every engine.

The names of `fields` are those of `TaskRequest` and `Sampling`. A double's own reading of a request stays in its own
package; here is only what the servers' names for one thing are. Pure.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter_api import JsonValue

    from .http1 import SeenRequest

_NAMES: Mapping[str, tuple[str, ...]] = {
    "max_tokens": ("max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "n_predict"),
    "seed": ("seed", "random_seed"),
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "top_k": ("top_k",),
    "min_p": ("min_p",),
    "repeat_penalty": ("repeat_penalty", "repetition_penalty"),
    "presence_penalty": ("presence_penalty",),
    "frequency_penalty": ("frequency_penalty",),
    "stop": ("stop", "stop_words"),
}
"""Our name of a field -> what the servers call it."""

FIELDS = tuple(_NAMES)
_TEXTS = ("prompt", "inputs", "input", "text_input", "messages")
_OWN_NAME = {theirs: ours for ours, all_theirs in _NAMES.items() for theirs in all_theirs}
_PREFIX = "sampling_param_"
_NO_DEFAULTS: Mapping[str, JsonValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request for work, as it came.

    `body` are its bytes, `headers` have names in lower case. `texts` are the prompt, or the contents of the messages in
    their order. `fields` has what the request says, by our names, and `others` all else, by the engine's own; what it
    does not say is in neither. `defaults` are what the engine documents for fields that are not given.
    """

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    texts: tuple[str, ...] = field(repr=False)
    fields: Mapping[str, JsonValue]
    others: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    defaults: Mapping[str, JsonValue] = field(default_factory=lambda: _NO_DEFAULTS, repr=False)

    def effective(self, name: str) -> JsonValue:
        """Return what holds for a field: what the request says, or else the documented default; None is unknown."""
        return self.fields.get(name, self.defaults.get(name))


def json_object(body: bytes) -> dict[str, JsonValue]:
    """Return the JSON object in a body, an empty one if it is none."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def as_received(
    request: SeenRequest, given: Mapping[str, JsonValue], defaults: Mapping[str, JsonValue] = _NO_DEFAULTS
) -> Received:
    """Return a request that says all it has to say in `given`, under any of the servers' names."""
    return of_parts(request.body, request.headers, given, defaults)


def by_its_fields(request: SeenRequest) -> Received:
    """Return a request whose JSON fields say all it has to say, and whose engine documents no defaults."""
    return as_received(request, json_object(request.body))


def of_parts(
    body: bytes,
    headers: Mapping[str, str],
    given: Mapping[str, JsonValue],
    defaults: Mapping[str, JsonValue] = _NO_DEFAULTS,
) -> Received:
    """Return the same for what came by another protocol than HTTP/1.1."""
    said = {name: value for name, value in _flat(given) if value is not None}
    fields = {_OWN_NAME[name]: value for name, value in said.items() if name in _OWN_NAME}
    if "stop" in fields:
        fields["stop"] = _listed(fields["stop"])
    return Received(
        body=body,
        headers=dict(headers),
        texts=tuple(text for name in _TEXTS if name in said for text in _texts(said[name])),
        fields=fields,
        others={name: value for name, value in said.items() if name not in _OWN_NAME and name not in _TEXTS},
        defaults=defaults,
    )


def _flat(given: Mapping[str, JsonValue]) -> Iterator[tuple[str, JsonValue]]:
    """Yield the members of a body with those of what is nested in it: objects of parameters, and JSON in a text."""
    for name, value in given.items():
        if name == "parameters" and isinstance(value, dict):
            yield from _flat(value)
        elif name == "sampling_parameters" and isinstance(value, str):
            yield from _flat(json_object(value.encode()))
        else:
            yield name.removeprefix(_PREFIX), value


def _listed(value: JsonValue) -> list[JsonValue]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _texts(value: JsonValue) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for part in value:
                yield from _texts(part)
        case {"content": content}:
            yield from _texts(content)
        case {"text": text}:
            yield from _texts(text)
        case _:
            pass
