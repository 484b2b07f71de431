"""Secrets where they like to get out: in the engine's own words, in addresses, in exceptions; and prompts in logs.

Every case of every scene is searched for canaries; the scenes here put them in the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from conformance.check import Check, Group, Scene, each, one
from conformance.engines.script import Accept, Answer, Fail, Malformed, Pause, Script, Stall, Text
from conformance.times import STEP_S

from .everyday import EVERYDAY
from .scripts import steady

if TYPE_CHECKING:
    from conformance.lab import Lab

_SHAPES = {
    "plain": "the key {} is wrong",
    "header": "rejected header Authorization: Bearer {}",
    "quoted": 'got {{"api_key": "{}"}}',
    "url": "no route to http://user:{}@engine.test/completion?api_key={}",
    "at-the-cut": "x" * 285 + " {}",
    "many": "{} " * 40,
}


async def engine_tells_the_key(lab: Lab, shape: str) -> None:
    """Let the engine put the adapter's own key into its error texts, before and inside the stream."""
    words = _SHAPES[shape].replace("{}", lab.canaries["api_key"]).replace("{{", "{").replace("}}", "}")
    early = Script.of(Fail(401, "authentication_error", words))
    late = Script.of(Accept(), Text("One"), Pause(STEP_S), Fail(500, "server_error", words, in_stream=True))
    async with lab.open(early, late) as bench:
        await bench.read()
        await bench.read()


async def a_proxy_tells_the_key(lab: Lab) -> None:
    """Let something before the engine answer with a page that holds the key, and a frame that is not the protocol."""
    lab.need("wire")
    key = lab.canaries["api_key"].encode()
    page = Script.of(Answer(502, b"<html>upstream said: Authorization: Bearer " + key + b"</html>", "text/html"))
    frame = Script.of(Accept(), Malformed(b"data: {not json, key=" + key + b"}\n\n"))
    async with lab.open(page, frame) as bench:
        await bench.read()
        await bench.read()


async def the_address_holds_a_password(lab: Lab) -> None:
    """Put a password into the engine's address, then use, refuse and lose the connection."""
    lab.need("connection")
    lab.given.append("the engine's address has a password in it")
    async with lab.open(steady(), credentials_in_url=True) as bench:
        await bench.read()
        await bench.health()
        bench.rig.stop()
        await trio.sleep(STEP_S)
        await bench.read()
        await bench.health()


async def the_network_tells_the_key(lab: Lab) -> None:
    """Let connecting fail with an exception that has the key in its text."""
    lab.need("connection")
    lab.given.append("every connection fails with an exception of the network that has the key in its text")
    async with lab.open(steady(), dial_error=f"cannot reach {lab.canaries['api_key']}@engine.test") as bench:
        await bench.read()
        await bench.health()


async def what_people_write(lab: Lab, how: str) -> None:
    """Put a canary into the prompt; logs, errors and reprs must not have it."""
    said = (Accept(), Text("One"))
    endings = {
        "completes": Script.of(*said),
        "fails": Script.of(*said, Fail(500, "server_error", "no", in_stream=True)),
    }
    async with lab.open(endings.get(how, Script.of(*said, Stall()))) as bench:
        reading = bench.start(bench.request(prompt=f"Tell nobody: {lab.canaries['prompt']}"))
        await lab.until(STEP_S)
        if how == "is-canceled":
            await bench.cancel(reading.request.task_id)
        lab.sinks.append(("repr(request)", repr(reading.request)))
        if how == "is-abandoned":
            bench.stop_reading()


_ECHO = Scene(
    name="engine-tells-the-key",
    how="The engine's error texts hold the adapter's key: plain, as header, JSON and URL, many times, and where a text "
    "is cut to length.",
    cases=each(engine_tells_the_key, {shape: shape for shape in _SHAPES}),
)
_PROXY = Scene(
    name="proxy-tells-the-key", how="Foreign pages and frames hold the key.", cases=one(a_proxy_tells_the_key)
)
_ADDRESS = Scene(
    name="password-in-the-address",
    how="The engine's URL has a password; the engine is used, and dead.",
    cases=one(the_address_holds_a_password),
)
_NETWORK = Scene(
    name="network-tells-the-key",
    how="Connecting fails with the key in the exception.",
    cases=one(the_network_tells_the_key),
)
_TEXTS = Scene(
    name="prompts",
    how="A canary in the prompt of requests that complete, fail, are canceled and abandoned.",
    cases=each(what_people_write, {how: how for how in ("completes", "fails", "is-canceled", "is-abandoned")}),
)

CHECKS = (
    Check(
        id="RED-01",
        title="no credential in any log, error, event or repr",
        group=Group.REDACTION,
        requirements=("HTU-1004", "HTU-1004f", "HTU-1004h"),
        scenes=(EVERYDAY, _ECHO, _PROXY, _ADDRESS, _NETWORK),
        causes=(
            "an engine's error text quoted without `context.redact`",
            "a text cut to length before it is redacted",
            "a configuration object without its own repr",
            "a URL with credentials in a log line",
            "the text of an exception that was wrapped",
        ),
    ),
    Check(
        id="RED-07",
        title="no credential in the causes and the context of an error",
        group=Group.REDACTION,
        requirements=("ADAPT-3014c",),
        scenes=(EVERYDAY, _ECHO, _PROXY, _ADDRESS, _NETWORK),
        causes=(
            "`raise ... from failure`, with the key in the failure's own text",
            "an error raised inside of the `except` block: `from None` only hides its context",
        ),
    ),
    Check(
        id="RED-08",
        title="no prompt in any log, error or repr",
        group=Group.REDACTION,
        requirements=("HTU-1004g",),
        scenes=(EVERYDAY, _TEXTS),
        causes=("a request logged as a whole", "a request quoted in an error"),
    ),
)
