"""Taking secrets out of everything that people or log stores may read.

Three defences in order: known values in every encoding a peer may echo them in, then structure (headers, cookies, URLs,
members by name), then the patterns of `redaction_rules.py`. A mask names the kind of secret and carries six hex digits
of a keyed hash, so that two lines about the same secret can be told to be so and nothing can be guessed back.

Every method is total (any string, any size), linear in its input and idempotent. It works on whole messages: a writer
that gets text in pieces joins them to lines first, for no window is long enough for a private key. It is never applied
to what a model says.

Implements: HTU-1004, OC-CTRL-2041.
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from ._encodings import MIN_VALUE_CHARS, encodings
from .redaction_rules import BY_SHAPE, BY_STRUCTURE, MASK, QUERY_NAME, RULES, SECRET_HEADERS, SECRET_NAME, RedactionRule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter_api import JsonValue

__all__ = ["MIN_VALUE_CHARS", "RULES", "RedactionRule", "Redactor"]

_NAME_HINTS: Final = tuple((hint, rule) for rule in BY_STRUCTURE for hint in rule.hints)
_TOKEN_HINTS: Final = tuple((hint, rule) for rule in BY_SHAPE for hint in rule.hints)
_IS_MASK: Final = re.compile(MASK)
_COOKIE_ATTRIBUTES: Final = frozenset({"path", "domain", "expires", "max-age", "samesite"})


class Redactor:
    """Masks secrets; one for the process, or one for each adapter.

    `values` are the credentials that are known; those shorter than `MIN_VALUE_CHARS` are left to structure, since they
    would blank ordinary words. `key` fixes the fingerprints; without it they differ from process to process.
    """

    def __init__(self, *, values: Iterable[str] = (), key: bytes | None = None) -> None:
        self._key = os.urandom(16) if key is None else key
        self._forms: dict[str, str] = {}
        self._known = _IS_MASK
        self.add(*values)

    def __repr__(self) -> str:
        return "<Redactor>"

    def __call__(self, text: str) -> str:
        """Do what `text` does, so that a redactor fits wherever a function from str to str is asked for."""
        return self.text(text)

    def add(self, *values: str) -> None:
        """Learn more credentials; from now on they are masked raw and encoded."""
        for value in values:
            self._forms.update(dict.fromkeys(encodings(value.strip()), value))
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._known = re.compile("|".join([MASK, *map(re.escape, longest_first)]))

    def text(self, text: str) -> str:
        """Mask every secret in a message, whatever it quotes."""
        if any(form in text for form in self._forms):
            text = self._known.sub(self._mask_known, text)
        lowered = text.lower()
        candidates = [rule for hint, rule in _NAME_HINTS if hint in lowered]
        candidates += [rule for hint, rule in _TOKEN_HINTS if hint in text]
        for rule in dict.fromkeys(candidates):
            text = rule.regex.sub(partial(self._mask_found, rule.kind), text)
        return text

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Mask header values: secret ones by name, keeping the scheme and the cookies' names, all others as text."""
        return {name: self._header(name.lower(), value) for name, value in headers.items()}

    def url(self, url: str) -> str:
        """Mask a URL's user information, its secret query parameters however they are spelled, and any token."""
        head, question, query = url.partition("?")
        if question:
            query = "&".join(self._parameter(pair) for pair in query.split("&"))
        return self.text(head + question + query)

    def mapping(self, value: JsonValue) -> JsonValue:
        """Mask a JSON value: all under a secret name, and every other string as text. The shape stays."""
        return self._json(value, is_secret=False)

    def _mask(self, kind: str, secret: str) -> str:
        digest = hmac.digest(self._key, secret.encode("utf-8", "surrogatepass"), "sha256")
        return f"[redacted:{kind}:{digest.hex()[:6]}]"

    def _mask_whole(self, kind: str, secret: str) -> str:
        return secret if not secret or _IS_MASK.fullmatch(secret) else self._mask(kind, secret)

    def _mask_known(self, found: re.Match[str]) -> str:
        value = self._forms.get(found[0])
        return found[0] if value is None else self._mask("value", value)

    def _mask_found(self, kind: str, found: re.Match[str]) -> str:
        group = found.lastindex or 0
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return found[0][:start] + self._mask(kind, found[group]) + found[0][end:]

    def _header(self, name: str, value: str) -> str:
        if name in {"cookie", "set-cookie"}:
            return ";".join(self._cookie(part) for part in value.split(";"))
        if name not in SECRET_HEADERS:
            return self.text(value)
        scheme, space, credentials = value.partition(" ")
        if name.endswith("authorization") and space and scheme.isalnum():
            return f"{scheme} {self._mask_whole('auth', credentials)}"
        return self._mask_whole("header", value)

    def _cookie(self, part: str) -> str:
        name, equals, value = part.partition("=")
        if not equals:
            return self._mask_whole("cookies", part) if part.strip().lower() not in {"secure", "httponly"} else part
        return part if name.strip().lower() in _COOKIE_ATTRIBUTES else f"{name}={self._mask_whole('cookies', value)}"

    def _parameter(self, pair: str) -> str:
        name, equals, value = pair.partition("=")
        is_secret = QUERY_NAME.fullmatch(unquote(name)) is not None
        return f"{name}={self._mask_whole('query', value)}" if equals and is_secret else pair

    def _json(self, value: JsonValue, *, is_secret: bool) -> JsonValue:
        if isinstance(value, str):
            return self._mask_whole("field", value) if is_secret else self.text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            return self._mask("field", str(value)) if is_secret else value
        if isinstance(value, Mapping):
            return dict(self._member(name, member, is_secret) for name, member in value.items())
        return [self._json(item, is_secret=is_secret) for item in value]

    def _member(self, name: str, value: JsonValue, is_secret: bool) -> tuple[str, JsonValue]:
        shown = self.text(name)
        is_secret = is_secret or bool(SECRET_NAME.search(name) or SECRET_NAME.search(shown))
        return shown, self._json(value, is_secret=is_secret)
