"""Reading the list of models, `GET /v1/models`.

Implements: OC-ADAPT-OAI-6002.
"""

from __future__ import annotations

import re

import msgspec

from http_util.figures import Count


class Model(msgspec.Struct, frozen=True):
    """One model; `max_model_len` is its context in tokens where the server tells it, as vLLM does.

    `parent` is the model that an adapter (LoRA) belongs to.
    """

    id: str
    max_model_len: Count | None = None
    parent: str | None = None


class Models(msgspec.Struct, frozen=True):
    """The answer to `GET /v1/models`."""

    data: list[Model]

    def named(self, name: str | None) -> Model | None:
        """Return the model of this name; without a name the first that is not an adapter of another."""
        if name is not None:
            return next((model for model in self.data if model.id == name), None)
        return next((model for model in self.data if model.parent is None), None)


def shown(name: str) -> str:
    """Return a model's name for people: a path without its folders, which are nobody's business, else as it is."""
    is_path = re.match(r"[/\\~]|[A-Za-z]:[/\\]", name) is not None
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] if is_path else name
