"""Credentials that come back from outside: echoed by the engine, quoted by the network, in pieces, in addresses.

RED-01 watches under every scene; here the canaries are put where adapters take words from without a thought.
"""

from __future__ import annotations

from base64 import b64encode
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import trio

from conformance.canary import SECRETS
from conformance.check import Check, Group, Scene, each, joined, one
from conformance.engines.script import Accept, Answer, Fail, Pause, Script, SplitBytesAt, Text
from conformance.findings import Finding, NotApplicable, NotTestable, Stop
from conformance.listening import listening
from conformance.times import STEP_S

from .corners import CUT_KEY
from .everyday import EVERYDAY
from .scripts import steady

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from conformance.lab import Lab
    from conformance.listening import Record

_JSON = "application/json"
_KIT = (Stop, NotApplicable, NotTestable)


@contextmanager
def _quiet_about_keys(lab: Lab, check_id: str) -> Iterator[list[Record]]:
    """Note a finding for each thing that was said within the block and holds a credential."""
    before = len(lab.sinks)
    with listening() as records:
        yield records
    said = [*lab.sinks[before:], *(("log record", str(record)) for record in records)]
    for sink, text in said:
        _judge(lab, check_id, sink, text)


def _judge(lab: Lab, check_id: str, sink: str, text: str) -> None:
    sighting = lab.canaries.find(text, sink, SECRETS)
    if sighting is not None:
        shown = lab.canaries.mask(text)
        at = max(0, shown.find("[canary:") - 100)
        actual = f"the {sighting.place} key, {sighting.form}, in a {sink}: {shown[at : at + 240]}"
        lab.find(Finding(check_id, "no credential that came from outside", actual))


def _echoes(key: str) -> Mapping[str, Answer]:
    """Return answers that hold the key, by the place it is in."""
    header = f"Authorization: Bearer {key}"
    basic = b64encode(f"user:{key}".encode()).decode()
    wrong = '{"error":{"message":"%s","type":"invalid_request_error","code":null}}'
    escaped = key.replace("/", "\\/")
    return {
        "in-an-error": Answer(401, (wrong % f"wrong key {escaped}").encode(), _JSON),
        "in-an-echo": Answer(400, f"POST /v1/completions HTTP/1.1\r\n{header}\r\n\r\n".encode(), "text/plain"),
        "in-a-page": Answer(502, f"<pre>{header}\nProxy-Authorization: Basic {basic}</pre>".encode(), "text/html"),
        "as-text": Answer(403, f"denied: {quote(key, safe='')} / {key.encode().hex()}".encode(), "text/plain"),
        "in-advice": Answer(429, (wrong % "slow").encode(), _JSON, (("retry-after", key), ("x-request-id", key))),
        "in-a-place": Answer(302, b"", "", (("location", f"http://user:{key}@login.test/?api_key={key}"),)),
        "in-a-demand": Answer(401, (wrong % "no").encode(), _JSON, (("www-authenticate", f'Bearer realm="{key}"'),)),
        "in-the-type": Answer(200, b"{}", f"text/plain; was={key}"),
        "as-the-type": Answer(200, b"{}", f"text/{key.replace('/', '.')}"),
    }


async def an_echo_of_the_key_stays_here(lab: Lab, place: str) -> None:
    """Let an answer hold the adapter's own key, in its body or in a header."""
    lab.need("wire")
    answer = _echoes(lab.canaries["api_key"])[place]
    with _quiet_about_keys(lab, "RED-02"):
        async with lab.open(Script.of(answer)) as bench:
            await bench.read()


async def a_failure_with_the_key_stays_here(lab: Lab) -> None:
    """Let the engine fail with the key in its words, before and after it has begun to answer."""
    words = f"upstream said {lab.canaries['api_key']}"
    late = Script.of(Accept(), Text("One"), Pause(STEP_S), Fail(500, "server_error", words, in_stream=True))
    with _quiet_about_keys(lab, "RED-02"):
        async with lab.open(Script.of(Fail(401, "authentication_error", words)), late) as bench:
            await bench.read()
            await bench.read()


async def an_address_stays_masked(lab: Lab, what_happens: str) -> None:
    """Put a password into the engine's address; then be refused by the network, and by the engine."""
    lab.need("connection")
    lab.given.append("the engine's address has a password in it")
    script = Script.of(Fail(401, "authentication_error", "no")) if what_happens == "unauthorized" else steady()
    with _quiet_about_keys(lab, "RED-03"):
        async with lab.open(script, credentials_in_url=True) as bench:
            if what_happens == "refused":
                bench.rig.stop()
                await trio.sleep(STEP_S)
            await bench.read()
            await bench.health()


async def a_network_that_quotes_the_address_stays_masked(lab: Lab) -> None:
    """Let connecting fail with an exception that quotes an address with all its credentials."""
    lab.need("connection")
    key = lab.canaries["api_key"]
    lab.given.append("every connection fails with an exception that quotes an address with the key in it")
    with _quiet_about_keys(lab, "RED-03"):
        async with lab.open(
            steady(), dial_error=f"no route to http://user:{key}@engine.test/v1?api_key={quote(key, safe='')}"
        ) as bench:
            await bench.read()
            await bench.health()


async def a_key_in_the_query_stays_masked(lab: Lab) -> None:
    """Put a key into the query of the engine's address; an adapter may refuse that, and not quote it."""
    lab.need("connection")
    lab.given.append("the engine's address has a key in its query")
    with _quiet_about_keys(lab, "RED-03"):
        try:
            async with lab.open(steady(), key_in_query=True) as bench:
                await bench.read()
                await bench.health()
        except Exception as raised:
            refused = [leaf for leaf in _leaves(raised) if not isinstance(leaf, _KIT)]
            if not refused:
                raise
            for leaf in refused:
                lab.hear(leaf)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


async def pieces_are_joined_first(lab: Lab, script: Callable[[str], Script]) -> None:
    """Let the key come in small pieces, and look for it in all that is said, put together again."""
    lab.need("wire")
    with _quiet_about_keys(lab, "RED-04") as records:
        async with lab.open(script(lab.canaries["api_key"])) as bench:
            reading = await bench.read()
            await bench.health()
    _judge(lab, "RED-04", "log, all records joined", "".join(record.message for record in records))
    error = reading.error
    if error is not None:
        _judge(lab, "RED-04", "message without its spaces", "".join(error.message.split()))


def _refused_in_pieces(size: int, key: str) -> Script:
    return Script.of(SplitBytesAt((size,)), Fail(401, "authentication_error", f"the key {key} is wrong"))


def _page_in_pieces(key: str) -> Script:
    return Script.of(SplitBytesAt((7,)), Answer(403, f"denied for {key}".encode(), "text/plain"))


def _failed_in_pieces(size: int, key: str) -> Script:
    failure = Fail(500, "server_error", f"the key {key} is wrong", in_stream=True)
    return Script.of(SplitBytesAt((size,)), Accept(), Text("One"), Pause(STEP_S), failure)


_PIECES: Mapping[str, Callable[[str], Script]] = {
    "refused-1": partial(_refused_in_pieces, 1),
    "refused-11": partial(_refused_in_pieces, 11),
    "page-7": _page_in_pieces,
    "failed-1": partial(_failed_in_pieces, 1),
    "failed-11": partial(_failed_in_pieces, 11),
}

_ECHOED = Scene(
    name="echoed-key",
    how="Answers that hold the adapter's key: errors, echoes, pages, headers, a content type, encoded and plain.",
    cases=joined(
        each(an_echo_of_the_key_stays_here, {place: place for place in _echoes("")}),
        one(a_failure_with_the_key_stays_here, "in-a-failure"),
    ),
)
_ADDRESSES = Scene(
    name="credentials-in-the-address",
    how="A password or a key in the engine's address; the network refuses, the engine refuses, the network quotes it.",
    cases=joined(
        each(an_address_stays_masked, {how: how for how in ("refused", "unauthorized")}),
        one(a_network_that_quotes_the_address_stays_masked, "quoted"),
        one(a_key_in_the_query_stays_masked, "in-the-query"),
    ),
)
_IN_PIECES = Scene(
    name="key-in-pieces",
    how="The key in answers whose bytes come one by one, in sevens, in elevens; what is said is joined and searched.",
    cases=each(pieces_are_joined_first, _PIECES),
)

CHECKS = (
    Check(
        id="RED-02",
        title="a credential that the engine sends back goes no further",
        group=Group.REDACTION,
        requirements=("ADAPT-3014", "HTU-1004"),
        scenes=(_ECHOED, CUT_KEY),
        causes=(
            "the engine's body quoted or logged as it stands",
            "a header of the answer quoted: advice, a request id, a content type",
            "only the field `message` redacted, and not a page or a text",
        ),
    ),
    Check(
        id="RED-03",
        title="credentials in the engine's address are masked",
        group=Group.REDACTION,
        requirements=("ADAPT-3014a",),
        scenes=(_ADDRESSES,),
        causes=("the address in the text of a connection error", "a validation error that quotes the setting"),
    ),
    Check(
        id="RED-04",
        title="a secret is masked that comes or goes in pieces",
        group=Group.REDACTION,
        requirements=("ADAPT-3014b", "HTU-1004m"),
        scenes=(_IN_PIECES,),
        causes=("each piece redacted by itself", "a body logged while it is read"),
    ),
    Check(
        id="RED-09",
        title="the engine's address is told to nobody",
        group=Group.REDACTION,
        requirements=("ADAPT-3011",),
        scenes=(EVERYDAY, _ADDRESSES),
        causes=("the URL in the message of a connection error", "the URL in the detail of health"),
    ),
)
