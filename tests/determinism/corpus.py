"""The stable corpus: 64 requests, each with a seed of its own, and what the doubles answer to them.

`corpus.json` changes on purpose only, and `answers.json` with it: `python -m tests.determinism.test_doubles` asks the
doubles again. Sampling parameters are those that every engine has.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

FILE = Path(__file__).with_name("corpus.json")
ANSWERS = Path(__file__).with_name("answers.json")


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request; it has a prompt or messages."""

    seed: int
    max_tokens: int
    sampling: dict[str, float | list[str]]
    prompt: str | None = None
    messages: list[dict[str, str]] | None = None

    def fields(self) -> dict[str, object]:
        """Return the fields of the task; None takes a field away."""
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return {**named, "sampling": self.sampling or None, "determinism": "strict"}

    def without_chat(self) -> Case:
        """Return the case for an engine that has no chat: the last message becomes the prompt."""
        if self.messages is None:
            return self
        return msgspec.structs.replace(self, prompt=self.messages[-1]["content"], messages=None)


def cases() -> list[Case]:
    """Return the corpus."""
    return msgspec.json.decode(FILE.read_bytes(), type=list[Case])


def answers() -> dict[str, list[str]]:
    """Return, for each engine, what its double answers to each case."""
    return msgspec.json.decode(ANSWERS.read_bytes(), type=dict[str, list[str]])
