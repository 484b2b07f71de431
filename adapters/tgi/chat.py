"""Chats: as one prompt for the native route, or as messages for the OpenAI-shaped one.

Pure. For the native route the server applies the model's template and tells what came out. A template writes the
model's first special token as text, and the native route would put the tokenizer's own one before it once more, which
the server's chat route does not. So the text of that token is taken off again where the tokenizer is seen to add it;
the generation then begins with the very tokens that the server itself would use.

The OpenAI-shaped route has fewer parameters, and makes of `presence_penalty` a repetition penalty that is larger by 2:
it is never sent there.

Implements: OC-ADAPT-5040d, OC-ADAPT-5040e, OC-ADAPT-5040f.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from http_util.openai_api.bodies import Dialect, chat

from .mapping import engine_seed, off_where_it_changes_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter_api import JsonValue, Message, TaskRequest

BASE_MODEL = "tgi"
"""What the OpenAI-shaped routes call the model itself; any other name is taken for that of a LoRA adapter."""
DIALECT = Dialect(sampling={name: name for name in ("temperature", "top_p", "frequency_penalty", "stop")})
PROBE: dict[str, JsonValue] = {"inputs": "."}
"""The body of `POST /tokenize` that shows what the tokenizer puts before a text."""


class TokenView(msgspec.Struct, frozen=True):
    """A token of a text and where it stands, counted in characters; one that was added stands nowhere."""

    id: int
    start: int
    stop: int


class Templated(msgspec.Struct, frozen=True):
    """The answer to `POST /chat_tokenize`."""

    templated_text: str
    tokenize_response: list[TokenView]


def template(messages: Sequence[Message], adapter_id: str | None) -> dict[str, JsonValue]:
    """Return the body of `POST /chat_tokenize`."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    return {"model": adapter_id or BASE_MODEL, "messages": turns}


def added_before(probed: Sequence[TokenView]) -> tuple[int, ...]:
    """Return the ids of the tokens that the tokenizer puts before a text."""
    first = next((place for place, token in enumerate(probed) if token.stop > token.start), 0)
    return tuple(token.id for token in probed[:first])


def prompt(templated: Templated, added: Sequence[int]) -> str:
    """Return the text of which the native route makes the tokens of `templated`, given what it adds itself."""
    beginning = templated.tokenize_response[: len(added)]
    if not added or [token.id for token in beginning] != list(added):
        return templated.templated_text
    return templated.templated_text[beginning[-1].stop :]


def completion(request: TaskRequest, seed: int, adapter_id: str | None) -> dict[str, JsonValue]:
    """Return the body of `POST /v1/chat/completions`; raise `AdapterError` for what the route does not have."""
    plain = off_where_it_changes_nothing(request.sampling)
    if plain.repeat_penalty == 1:
        plain = replace(plain, repeat_penalty=None)
    return chat(replace(request, sampling=plain), DIALECT, model=adapter_id or BASE_MODEL, seed=engine_seed(seed))
