"""What a request may wish for, field by field, and how it is compared with what reached the engine.

All numbers are sums of few powers of two, so that they are the same in single precision too.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from adapter_api import AdapterError, Sampling
from conformance.engines.received import FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from adapter_api import JsonValue, TaskRequest
    from conformance.bench import Bench
    from conformance.engines.received import Received
    from conformance.reading import Reading

    Wish = Mapping[str, object]

SAMPLING = frozenset(field.name for field in fields(Sampling))

ORDINARY: Wish = {
    "temperature": 0.75,
    "top_p": 0.875,
    "top_k": 40,
    "min_p": 0.0625,
    "repeat_penalty": 1.125,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.25,
    "stop": ("END", "\n\n"),
    "seed": 41,
    "max_tokens": 7,
}
"""One value for each field that no engine has for a default."""

EDGES: tuple[Wish, ...] = (
    {"temperature": 0.0},
    {"temperature": 2.0},
    {"top_p": 1.0},
    {"top_k": 1},
    {"min_p": 0.0},
    {"repeat_penalty": 1.0},
    {"presence_penalty": 0.0},
    {"presence_penalty": -0.5},
    {"frequency_penalty": -1.5},
    {"stop": ("é", "\r\n", '"')},
    {"seed": 0},
    {"seed": 2**31 - 1},
    {"max_tokens": 1},
)
"""Values that a slip takes for nothing, or for another: zero, the largest, what means "off"."""


def spread(wish: Wish) -> dict[str, object]:
    """Return a wish as fields of a request."""
    sampling = {name: value for name, value in wish.items() if name in SAMPLING}
    plain = {name: value for name, value in wish.items() if name not in SAMPLING}
    return {**plain, "sampling": Sampling(**sampling)}  # type: ignore[arg-type]  # the wishes name its fields


def each_alone(wish: Wish) -> tuple[Wish, ...]:
    """Return a wish for each field of this one."""
    return tuple({name: value} for name, value in wish.items())


def wanted(request: TaskRequest, name: str) -> JsonValue:
    """Return what a request says of a field; None is nothing."""
    if name == "stop":
        return list(request.sampling.stop) or None
    value: JsonValue = getattr(request.sampling if name in SAMPLING else request, name)
    return value


def differences(request: TaskRequest, reading: Reading, received: Received) -> Iterator[tuple[str, str]]:
    """Yield (what was wanted, what reached the engine) for each field that is not as it was given."""
    for name in FIELDS:
        given, got = wanted(request, name), received.effective(name)
        if name == "seed" and given is None and got in {None, told_seed(reading)}:
            continue  # a seed that the adapter draws and tells
        if (received.defaults.get(name) if given is None else given) != got:
            yield f"{name}={_shown(given)}", f"{name}={_shown(got)}"
    yield from _text_differences(request, received)


def _text_differences(request: TaskRequest, received: Received) -> Iterator[tuple[str, str]]:
    if request.prompt and received.texts != (request.prompt,):
        yield "the prompt as it was given", f"{received.texts!r}"
    rest = "\n".join(received.texts)
    for message in request.messages:
        _, found, rest = rest.partition(message.content)
        if not found:
            yield "the contents of all messages in their order", f"{received.texts!r}"
            return


def told_seed(reading: Reading) -> JsonValue:
    """Return the seed that a stream tells."""
    return next((frame.data["seed"] for frame in reading.frames if "seed" in frame.data), None)


def refusal(reading: Reading) -> AdapterError | None:
    """Return the error that finds fault with the request itself, if a stream failed so."""
    error = reading.error
    return error if isinstance(error, AdapterError) and error.blames_request else None


async def accepted(bench: Bench, wish: Wish) -> dict[str, object]:
    """Return those fields of a wish that are not refused when they come alone."""
    return {
        name: value
        for name, value in wish.items()
        if refusal(await bench.read(bench.request(**spread({name: value})))) is None
    }


def _shown(value: JsonValue) -> str:
    return "nothing" if value is None else repr(value)
