"""Answers in one piece: vectors and scores in the shape that OpenAI's and Jina's interfaces made common.

Pure. What comes back may be in any order; what leaves is in the order of the inputs.

Implements: ADAPT-3000, ADAPT-3010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter_api import AdapterError, End

from .figures import Count

if TYPE_CHECKING:
    from adapter_api import JsonValue, Started, TaskRequest, TokenEvent


class Usage(msgspec.Struct, frozen=True):
    """Counts of tokens; None is untold."""

    prompt_tokens: Count | None = None


class _Vector(msgspec.Struct):
    index: int
    embedding: list[float]


class _Score(msgspec.Struct):
    index: int
    relevance_score: float


class Embeddings(msgspec.Struct):
    """`{"data": [{"index", "embedding"}, ...], "usage"}`."""

    data: list[_Vector]
    usage: Usage = Usage()

    @property
    def indices(self) -> list[int]:
        """The inputs that are answered, sorted."""
        return sorted(vector.index for vector in self.data)

    @property
    def result(self) -> JsonValue:
        """One vector for each input, in the order of the inputs."""
        return [vector.embedding for vector in sorted(self.data, key=lambda vector: vector.index)]


class Ranking(msgspec.Struct):
    """`{"results": [{"index", "relevance_score"}, ...], "usage"}`."""

    results: list[_Score]
    usage: Usage = Usage()

    @property
    def indices(self) -> list[int]:
        """The documents that are answered, sorted."""
        return sorted(score.index for score in self.results)

    @property
    def result(self) -> JsonValue:
        """One score for each document, in the order of the documents."""
        return [score.relevance_score for score in sorted(self.results, key=lambda score: score.index)]


def embedding_body(request: TaskRequest) -> dict[str, JsonValue]:
    """Return the body of a request for embeddings, without a model."""
    return {"input": request.inputs, "encoding_format": "float"}


def rerank_body(request: TaskRequest) -> dict[str, JsonValue]:
    """Return the body of a request for scores, without a model."""
    return {"query": request.prompt, "documents": request.inputs, "top_n": len(request.inputs)}


def events_of(request: TaskRequest, answer: Embeddings | Ranking, started: Started, phase: str) -> list[TokenEvent]:
    """Return the whole stream of an answer in one piece; raise `AdapterError` unless it has one result per input."""
    if answer.indices != list(range(len(request.inputs))):
        raise AdapterError(f"{phase}: the results are not one for each of the {len(request.inputs)} inputs")
    end = End(tokens_out=0, decode_time_ms=0, tokens_in=answer.usage.prompt_tokens, result=answer.result)
    return [started, end]
