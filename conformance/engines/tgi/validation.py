"""What the router asks of a generation, once a permit has been taken, in its order and its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .requests import Generation, Parameters


class Invalid(Exception):
    """The router refuses a request; `kind` is its `error_type`."""

    def __init__(self, message: str, kind: str = "validation") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = f"Input validation error: {message}" if kind == "validation" else message


@dataclass(frozen=True, slots=True)
class Limits:
    """What the router was started with; sizes in tokens. `adapters` are the LoRA adapters there are, None: any name."""

    max_input_tokens: int
    max_total_tokens: int
    max_stop_sequences: int = 4
    max_best_of: int = 2
    adapters: tuple[str, ...] | None = None


def validate(wanted: Generation, limits: Limits) -> None:
    """Refuse what the router refuses, in its order."""
    _validate_parameters(wanted.parameters, limits, is_stream=wanted.is_stream)
    if not wanted.prompt:
        raise Invalid("`inputs` cannot be empty")
    count, new = len(wanted.tokens), wanted.limit
    if count + new > limits.max_total_tokens:
        raise Invalid(
            f"`inputs` tokens + `max_new_tokens` must be <= {limits.max_total_tokens}. "
            f"Given: {count} `inputs` tokens and {new} `max_new_tokens`"
        )
    if count > limits.max_input_tokens:
        raise Invalid(f"`inputs` must have less than {limits.max_input_tokens} tokens. Given: {count}")


def _validate_parameters(given: Parameters, limits: Limits, *, is_stream: bool) -> None:
    best_of = 1 if given.best_of is None else given.best_of
    rules = (
        (is_stream and best_of != 1, "`best_of` != 1 is not supported when streaming tokens"),
        (
            is_stream and given.decoder_input_details,
            "`decoder_input_details` == true is not supported when streaming tokens",
        ),
        (best_of > limits.max_best_of, f"`best_of` must be > 0 and <= {limits.max_best_of}. Given: {best_of}"),
        (best_of > 1 and not given.draws, "you must use sampling when `best_of` is > 1"),
        (_is_not_positive(given.temperature), "`temperature` must be strictly positive"),
        (_is_not_positive(given.repetition_penalty), "`repetition_penalty` must be strictly positive"),
        (not -2 <= (given.frequency_penalty or 0) <= 2, "`frequency_penalty` must be >= -2.0 and <= 2.0"),
        (not _is_a_share(given.top_p), "`top_p` must be > 0.0 and < 1.0"),
        (not _is_a_share(given.typical_p), "`typical_p` must be > 0.0 and < 1.0"),
        (_is_not_positive(given.top_k), "`top_k` must be strictly positive"),
        (given.max_new_tokens == 0, "`max_new_tokens` must be strictly positive"),
        (
            len(given.stop) > limits.max_stop_sequences,
            f"`stop` supports up to {limits.max_stop_sequences} stop sequences. Given: {len(given.stop)}",
        ),
        (best_of > 1 and given.seed is not None, "`seed` must not be set when `best_of` > 1"),
        (
            None not in {given.adapter_id, limits.adapters} and given.adapter_id not in (limits.adapters or ()),
            f"adapter `{given.adapter_id}` is not loaded",
        ),
    )
    for is_broken, words in rules:
        if is_broken:
            raise Invalid(words)


def _is_not_positive(value: float | None) -> bool:
    return value is not None and value <= 0


def _is_a_share(value: float | None) -> bool:
    return value is None or 0 < value < 1
