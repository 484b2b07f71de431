"""What the streams of this wire say about themselves, whichever route they come from.

Implements: OC-ADAPT-OAI-6005, OC-ADAPT-OAI-6006.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from adapter_api import End, FinishReason, Metrics, TokenEvent, WorkerError, WorkerReset
from http_util.figures import Count

if TYPE_CHECKING:
    from http_util.live import Progress

FINISH_REASONS: Mapping[str, FinishReason] = MappingProxyType({
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
    # Text Generation Inference lets words of its own interface through.
    "eos_token": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
})
"""A server's word -> ours; any other is `OTHER` and is told besides."""
ABORTED = "abort"
"""The word of vLLM and its kin for a request that the engine gave up."""
NO_ERROR = frozenset({b"null", b"false", b'""', b"{}"})
"""Values of a field `error` that report none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What the first frame of an answer tells; None is untold."""

    model: str | None = None
    fingerprint: str | None = None
    tokens_in: int | None = None


Begin = Callable[[Beginning], Sequence[TokenEvent]]
"""Makes the first events of a stream, `Started` before all others."""
Failure = Callable[[bytes], WorkerError]
"""Makes the error that the data of a frame means, which has a field `error`."""


class PromptDetails(msgspec.Struct, frozen=True):
    """What the prompt's tokens are made of."""

    cached_tokens: Count | None = None


class OutputDetails(msgspec.Struct, frozen=True):
    """What the answer's tokens are made of."""

    reasoning_tokens: Count | None = None


class Usage(msgspec.Struct, frozen=True):
    """The server's own counts, under the names of chat and text completions."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: OutputDetails | None = None


class ResponseUsage(msgspec.Struct, frozen=True):
    """The same under the names of the Responses API."""

    prompt_tokens: Count | None = msgspec.field(default=None, name="input_tokens")
    completion_tokens: Count | None = msgspec.field(default=None, name="output_tokens")
    prompt_tokens_details: PromptDetails | None = msgspec.field(default=None, name="input_tokens_details")
    completion_tokens_details: OutputDetails | None = msgspec.field(default=None, name="output_tokens_details")


def ending(word: str, usage: Usage | ResponseUsage | None, so_far: Progress) -> Iterator[TokenEvent]:
    """Yield the last events of an answer that ended with this word; without counts the texts are counted."""
    usage = usage or Usage()
    if details := _details(usage):
        yield Metrics(details)
    reason = FINISH_REASONS.get(word, FinishReason.OTHER)
    yield End(
        tokens_out=so_far.tokens if usage.completion_tokens is None else usage.completion_tokens,
        decode_time_ms=so_far.decode_time_ms,
        finish_reason=reason,
        tokens_in=usage.prompt_tokens,
        engine_finish_reason=word if reason is FinishReason.OTHER else None,
    )


def unfinished() -> WorkerReset:
    """Return the error of a stream that says it is over and does not say why."""
    return WorkerReset("completion: the engine ended its stream without a reason to finish")


def _details(usage: Usage | ResponseUsage) -> dict[str, int]:
    cached = None if usage.prompt_tokens_details is None else usage.prompt_tokens_details.cached_tokens
    told = usage.completion_tokens_details
    counts = {"prompt_tokens_cached": cached, "reasoning_tokens": None if told is None else told.reasoning_tokens}
    return {name: count for name, count in counts.items() if count}
