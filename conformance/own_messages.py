"""What the kit itself says, held to the documents before anybody hears it: a mistake here is the kit's own.

Requests are held to the schema of the call, scripts to what their JSON keeps of them. A fault ends the case as one of
the kit, whatever the adapter would have made of it.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, final

import msgspec

from .engines.script import script_from_json
from .oracle import StrictValidator

if TYPE_CHECKING:
    from adapter_api import TaskRequest
    from specs import Specification

    from .engines.script import Script

_REMEMBERED = 256


@final
class KitFault(Exception):
    """The kit was about to say something that is not valid; the text says what."""


@final
class OwnMessages:
    """Holds what the kit says to the documents."""

    def __init__(self, spec: Specification) -> None:
        self._validator = StrictValidator(spec.schema("call", "TaskRequest"))

    def check_request(self, request: TaskRequest) -> TaskRequest:
        """Return the request; `KitFault` if it is none by the schema."""
        try:
            plain = json.loads(json.dumps(_known(msgspec.to_builtins(request)), allow_nan=False))
        except (TypeError, ValueError) as error:
            raise KitFault(f"the kit's request {request!r} is no JSON: {error}") from error
        if wrong := next(iter(self._validator.iter_errors(plain)), None):
            where = "".join(f"[{part!r}]" for part in wrong.absolute_path)
            raise KitFault(f"the kit's request {request!r}{where}: {wrong.message}")
        return request


def _known(value: object) -> object:
    """Return a value without what is not given in it."""
    if isinstance(value, dict):
        return {name: _known(each) for name, each in value.items() if each is not None}
    return value


def check_script(script: Script) -> None:
    """Raise `KitFault` unless the script comes back from its JSON as it is, so that anybody can be sent it."""
    if wrong := _fault_of(script):
        raise KitFault(f"the kit's script {script!r} {wrong}")


@lru_cache(maxsize=_REMEMBERED)
def _fault_of(script: Script) -> str:
    try:
        again = script_from_json(script.to_json())
    except ValueError as error:  # UnicodeEncodeError and msgspec's own are among them
        return f"cannot be sent: {error}"
    return "" if again == script else f"would be read as {again!r}"
