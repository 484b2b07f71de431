"""From a request to what the mock engine does for it: the steps, the `started` event and the result.

Pure but for the fresh seed it is handed. Refusals (workload, context) are decided here, before a slot is taken.

Implements: ADAPT-3002, ADAPT-3003, ORCH-3058.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter_api import AdapterError, JsonValue, Started, TaskRequest, Workload

from . import settings as step
from . import text

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request leads to."""

    started: Started
    steps: tuple[step.Step, ...]
    result: JsonValue = None


def make_plan(request: TaskRequest, settings: step.MockSettings, *, number: int, fresh_seed: int) -> Plan:
    """Plan the `number`-th request; raise `AdapterError` for one that the engine would refuse."""
    if request.workload not in settings.workloads:
        raise AdapterError(f"completion: the engine does not serve {request.workload}", blames_request=True)
    prompt = prompt_of(request)
    tokens_in = sum(map(text.count_tokens, request.inputs), text.count_tokens(prompt))
    if tokens_in >= settings.ctx_max:
        raise AdapterError(
            f"completion: the request ({tokens_in} tokens) exceeds the context size ({settings.ctx_max} tokens)",
            blames_request=True,
        )
    seed = _effective_seed(request, settings, fresh_seed)
    started = Started(
        engine_version=settings.engine_version,
        model_digest=settings.model_digest,
        sampler_profile_version=request.sampler_profile_version,
        seed=seed,
        tokens_in=tokens_in,
    )
    script = settings.script_for(number)
    steps = tuple(_steps(request, settings, prompt, seed, settings.ctx_max - tokens_in)) if script is None else script
    return Plan(started, steps, _result(request, prompt))


def prompt_of(request: TaskRequest) -> str:
    """Return the text that a chat or a plain prompt comes down to."""
    turns = (f"{message.role}: {message.content}" for message in request.messages)
    return request.prompt or "\n".join(turns)


def _effective_seed(request: TaskRequest, settings: step.MockSettings, fresh_seed: int) -> int:
    """Return the seed that decides the text; at temperature 0 the engine is greedy and no seed matters."""
    if settings.seed_behaviour is step.SeedBehaviour.IGNORE:
        return fresh_seed
    if request.seed is not None:
        return request.seed
    return 0 if request.sampling.temperature == 0 else fresh_seed


def _steps(request: TaskRequest, settings: step.MockSettings, prompt: str, seed: int, room: int) -> Iterator[step.Step]:
    yield step.Started()
    if request.workload is not Workload.COMPLETION:
        yield step.End()
        return
    text_seed = 0 if request.sampling.temperature == 0 else seed
    stop = request.sampling.stop
    answer = text.make_answer(prompt, text_seed, max_tokens=min(request.max_tokens, room), stop=stop)
    for piece in answer.pieces:
        if settings.tokens_per_second:
            yield step.Pause(ms=1000 / settings.tokens_per_second)
        yield step.Token(text=piece)
    yield step.End(reason=answer.reason)


def _result(request: TaskRequest, prompt: str) -> JsonValue:
    match request.workload:
        case Workload.EMBEDDING:
            return [text.embed(each) for each in request.inputs]
        case Workload.RERANK:
            return [text.relevance(prompt, each) for each in request.inputs]
        case Workload.COMPLETION:
            return None
