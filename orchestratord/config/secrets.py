"""Where credentials come from: a variable or a file that the configuration names, never the configuration itself.

A credential leaves here as a `Secret`. Texts of problems show nothing that was read, and not even the name of the
variable or file: where a name belongs, people paste the credential itself.

Implements: OC-CONFIG-6031, HTU-1004.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from adapter_api import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LARGEST_FILE = 64 * 1024
_CREDENTIAL_NAME = re.compile(r"key|token|secret|passw|auth|sig|cred", re.IGNORECASE)


class SecretError(ValueError):
    """A credential cannot be read; the text says why without showing any of it."""


def from_variable(name: str, environ: Mapping[str, str]) -> Secret:
    """Read the variable `name`; `SecretError` if it is absent, empty or unfit for a header."""
    if name not in environ:
        raise SecretError("the environment variable that is named here is not set")
    return _fit(environ[name], "the environment variable that is named here")


def from_file(name: str) -> Secret:
    """Read the file `name`, without the line end that editors add; `SecretError` if it cannot be used."""
    try:
        with Path(name).expanduser().open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise SecretError(f"the file that is named here cannot be read: {_reason(error)}") from None
    if len(content) > _LARGEST_FILE:
        raise SecretError(f"the file that is named here is larger than {_LARGEST_FILE} bytes: not a credential")
    return _fit(content.decode(errors="replace"), "the file that is named here")


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else type(error).__name__


def _fit(text: str, where: str) -> Secret:
    text = text.strip()
    if not text:
        raise SecretError(f"{where} is empty: give it a value or take it away")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise SecretError(f"{where} holds more than one word of printable ASCII, which cannot travel in a header")
    return Secret(text)


def hidden_values(value: object) -> Iterator[str]:
    """Find every credential in settings: each `Secret`, and what a URL carries before its host or in its query."""
    if isinstance(value, Secret):
        yield value.reveal()
        yield from hidden_values(value.reveal())  # a secret may be a URL: the password alone is one too
    elif isinstance(value, dict):
        for item in value.values():
            yield from hidden_values(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from hidden_values(item)
    elif isinstance(value, str) and "://" in value:
        yield from _in_url(value)


def _in_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    userinfo, at, _ = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    credentials = [userinfo, password or user] if at else []
    credentials += [value for name, value in parse_qsl(parts.query) if _CREDENTIAL_NAME.search(name)]
    for credential in credentials:
        yield credential
        yield unquote(credential)
