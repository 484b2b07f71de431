"""The judge of single events: order by the specification's table, payloads by its schemas.

It walks the transition table and the JSON Schemas of the documents and shares no code with `adapter_api`, so a slip
there cannot hide here. It returns findings; it reads no clock and calls no adapter.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, final

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from .findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jsonschema import ValidationError

    from adapter_api import JsonValue
    from specs import FrameOrderTable, Specification

_BOUNDARY = "adapter"


@final
class OrderOracle:
    """Walks one stream through the table of the specification."""

    def __init__(self, table: FrameOrderTable) -> None:
        self._table = table
        self._state = table.initial
        self._next_index = 0

    @property
    def is_over(self) -> bool:
        """Whether a terminal event has passed."""
        return self._state in self._table.final

    def accept(self, kind: str, data: Mapping[str, JsonValue]) -> Iterator[Finding]:
        """Take the next event and yield what is wrong about its being here."""
        if kind not in self._table.events:
            yield Finding("FRM-15", f"one of {_listed(self._table.events)}", f"an event of kind {kind!r}")
            return
        following = self._table.transitions.get((self._state, kind))
        if following is None:
            yield self._misplaced(kind)
        else:
            self._state = following
        if kind == "token":
            yield from self._accept_token(data)

    def at_end(self) -> Iterator[Finding]:
        """Yield what is wrong about the stream's ending here."""
        if not self.is_over:
            legal = _listed(self._table.legal(self._state))
            yield Finding("LIF-03", f"one terminal event; legal here: {legal}", "the stream ended without one")

    def _misplaced(self, kind: str) -> Finding:
        legal = _listed(self._table.legal(self._state)) or "nothing"
        actual = f"`{kind}` while the stream was {self._state}"
        if self.is_over:
            return Finding("FRM-05", "nothing after the terminal event", actual)
        return Finding("FRM-01" if kind == "started" else "FRM-02", f"legal here: {legal}", actual)

    def _accept_token(self, data: Mapping[str, JsonValue]) -> Iterator[Finding]:
        index, text = data.get("i"), data.get("t")
        if index != self._next_index:
            yield Finding("FRM-03", f"i={self._next_index}", f"i={index!r}")
        self._next_index += 1
        if text == "":
            yield Finding("FRM-14", "text in every token", f"token i={index!r} has empty text")
        elif isinstance(text, str) and not _is_whole(text):
            yield Finding("FRM-14", "whole characters", f"token i={index!r} has half a character: {text!r}")


@final
class SchemaOracle:
    """Holds payloads to the JSON Schemas of the specification."""

    def __init__(self, spec: Specification, kinds: Iterable[str]) -> None:
        self._validators = {kind: _Validator(spec.schema(_BOUNDARY, kind)) for kind in kinds}

    def check(self, kind: str, data: object) -> Iterator[Finding]:
        """Yield what is wrong with the payload of an event of this kind."""
        validator = self._validators.get(kind)
        if validator is None:
            return
        try:
            plain = json.loads(json.dumps(data, allow_nan=False))
        except (TypeError, ValueError) as error:
            yield Finding("SCH-04", "finite numbers and plain JSON values", f"the payload of `{kind}`: {error}")
            return
        for wrong in sorted(validator.iter_errors(plain), key=str):
            yield _finding(kind, wrong)


def _finding(kind: str, error: ValidationError) -> Finding:
    where = "".join(f"[{part!r}]" for part in error.absolute_path)
    owner = {"additionalProperties": "SCH-03", "unevaluatedProperties": "SCH-03", "type": "SCH-04"}
    check_id = owner.get(str(error.validator), "SCH-01")
    return Finding(check_id, f"a payload as the schema of `{kind}` has it", f"{kind}{where}: {error.message}")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _is_strict_integer(_checker: object, instance: object) -> bool:
    return type(instance) is int


_STRICT = Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_strict_integer)
"""JSON Schema takes 3.0 for an integer; a client in a typed language does not."""

_Validator: type[Draft202012Validator] = extend(Draft202012Validator, type_checker=_STRICT)  # type: ignore[no-untyped-call]
