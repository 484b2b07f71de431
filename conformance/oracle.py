"""The judge of single events: order by the specification's table, payloads by its schemas, errors by its kinds.

It walks the transition table, the JSON Schemas and the table of kinds of the documents and shares no code with
`adapter_api`, so a slip there cannot hide here; of that it knows only which class an error of a kind has. It returns
findings; it reads no clock and calls no adapter.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, final

from jsonschema import Draft202012Validator
from jsonschema.validators import extend

from adapter_api import ERROR_KINDS

from .findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jsonschema import ValidationError

    from adapter_api import JsonValue, WorkerError
    from specs import FrameOrderTable, Specification

_BOUNDARY = "adapter"


@final
class OrderOracle:
    """Walks one stream through the table of the specification."""

    def __init__(self, table: FrameOrderTable) -> None:
        self._table = table
        self._last_words = {event for (_, event), state in table.transitions.items() if state in table.final}
        self._last_word: str | None = None
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
            yield from self._misplaced(kind)
        else:
            self._state = following
            self._last_word = kind if self.is_over else None
        if kind == "token":
            yield from self._accept_token(data)

    def at_end(self) -> Iterator[Finding]:
        """Yield what is wrong about the stream's ending here."""
        if not self.is_over:
            legal = _listed(self._table.legal(self._state))
            yield Finding("LIF-03", f"one terminal event; legal here: {legal}", "the stream ended without one")

    def _misplaced(self, kind: str) -> Iterator[Finding]:
        legal = _listed(self._table.legal(self._state)) or "nothing"
        actual = f"`{kind}` while the stream was {self._state}"
        if kind == "metrics":
            yield Finding("FRM-04", f"legal here: {legal}", actual)
        if self.is_over and kind in self._last_words - {self._last_word}:
            yield Finding("FRM-06", f"`{self._last_word}` or `{kind}`", f"`{kind}` after `{self._last_word}`")
        elif self.is_over:
            yield Finding("FRM-05", "nothing after the terminal event", actual)
        elif kind != "metrics":
            yield Finding("FRM-01" if kind == "started" else "FRM-02", f"legal here: {legal}", actual)

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
        self._validators = {kind: StrictValidator(spec.schema(_BOUNDARY, kind)) for kind in kinds}

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


@final
class ErrorOracle:
    """Holds errors to the kinds of the specification."""

    def __init__(self, spec: Specification) -> None:
        self._kinds = spec.worker_errors.keys()

    def check(self, error: WorkerError) -> Iterator[Finding]:
        """Yield what is wrong with the error's kind, or with its class."""
        kind, name = error.kind, type(error).__name__
        known = ERROR_KINDS.get(kind)
        if kind not in self._kinds:
            yield Finding("ERR-02", f"one of {_listed(self._kinds)}", f"a {name} of kind {kind!r}")
        elif known is None or not isinstance(error, known):
            expected = f"{known.__name__ if known else 'nothing'} for the kind {kind!r}"
            yield Finding("ERR-02", expected, f"a {name} that is none")


def _finding(kind: str, error: ValidationError) -> Finding:
    where = "".join(f"[{part!r}]" for part in error.absolute_path)
    owner = {"additionalProperties": "SCH-03", "unevaluatedProperties": "SCH-03", "type": "SCH-04"}
    is_kind = kind == "error" and where == "['kind']"
    check_id = "ERR-02" if is_kind else owner.get(str(error.validator), "SCH-01")
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

StrictValidator: type[Draft202012Validator] = extend(Draft202012Validator, type_checker=_STRICT)  # type: ignore[no-untyped-call]
