"""Broken in what they admit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from conformance.service.zoo import Service
from conformance.service.zoo_wire import Answer, Asked, Task, Wire, json_answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import trio

    from specs import Specification


class AnotherId(Service):
    """The answer to admission has an id that the service made."""

    def seat(self, body: dict[str, object], asked: Asked) -> Answer:
        got = super().seat(body, asked)
        return json_answer({**_read(got), "task_id": "t-1"}, 202) if got.status == 202 else got


class BreaksOnDeepJson(Service):
    """A body that nests deep is an INTERNAL."""

    def admit(self, asked: Asked) -> Answer:
        return self.error("INTERNAL", "unexpected") if asked.body.startswith(b"[[") else super().admit(asked)


class SaysNotWhat(Service):
    """A wrong field is refused without its name."""

    def fault_in(self, body: object) -> str | None:
        return "the request is malformed" if super().fault_in(body) else None


class TakesTrueForOne(Service):
    """True is taken for a number."""

    def fault_in(self, body: object) -> str | None:
        if isinstance(body, dict) and body.get("max_tokens") is True:
            body["max_tokens"] = 1
        return super().fault_in(body)


class IgnoresUnknownSampling(Service):
    """Only the outer object is strict."""

    def fault_in(self, body: object) -> str | None:
        if isinstance(body, dict) and isinstance(body.get("sampling"), dict):
            body["sampling"].pop("heat", None)
        return super().fault_in(body)


class SuggestsNothing(Service):
    """A misspelled field is refused and nothing else."""

    def meant(self, message: str) -> str:
        return ""


class TakesBothPrompts(Service):
    """Messages win over the prompt, silently."""

    def fault_in(self, body: object) -> str | None:
        if isinstance(body, dict) and "prompt" in body and "messages" in body:
            body.pop("prompt")
        return super().fault_in(body)


class ForgetsTheBody(Service):
    """A task_id that comes again is answered as before, whatever its body is."""

    def repeated(self, known: Task, asked: Asked) -> Answer:
        return json_answer(known.admission, 202)


class ForgetsWhatIsOver(Service):
    """A task_id that comes again when the task is over is refused."""

    def repeated(self, known: Task, asked: Asked) -> Answer:
        return self.error("INVALID_PARAMS", "task_id: used") if known.is_over else super().repeated(known, asked)


class _ReadsOn(Wire):
    is_measured_first = False


class _KeepsAll(Wire):
    is_measured_on_the_way = False


class MeasuresTheHead(Service):
    """A body that does not say how long it is is read to its end."""

    def __init__(self, nursery: trio.Nursery, spec: Specification, secret: str = "", window_s: float = 0.0) -> None:
        super().__init__(nursery, spec, secret, window_s)
        self.wire = _KeepsAll(self)


class TakesWhatCame(Service):
    """A body that is too long and came without a length is cut off and read as far as it came."""

    def too_large(self) -> Answer:
        return self.error("INVALID_PARAMS", "the body is not JSON")


class ReadsItAll(Service):
    """A body is read to its end before it is measured."""

    def __init__(self, nursery: trio.Nursery, spec: Specification, secret: str = "", window_s: float = 0.0) -> None:
        super().__init__(nursery, spec, secret, window_s)
        self.wire = _ReadsOn(self)


class TakesWhatDoesNotFit(Service):
    """A context beyond the pool's is admitted."""

    def place(self, body: dict[str, object]) -> Answer | None:
        return super().place({**body, "ctx": 1})


class KnowsItsOutputModes(Service):
    """An output_mode that is not known is refused."""

    def fault_in(self, body: object) -> str | None:
        mode = body.get("output_mode", "text") if isinstance(body, dict) else "text"
        return super().fault_in(body) if mode in {"text", "json", "edits"} else "output_mode: unknown"


class PinsNothing(Service):
    """A pin of an unknown pool is taken for a wish."""

    def place(self, body: dict[str, object]) -> Answer | None:
        return super().place({**body, "placement": {}})


class TakesAnyLength(Service):
    """An answer may be longer than the pool can make it."""

    def too_many(self, body: dict[str, object]) -> str | None:
        return None


class PinsOverrideTheEngine(Service):
    """A pin of a pool with another engine is taken."""

    def place(self, body: dict[str, object]) -> Answer | None:
        return super().place({**body, "engine": "mock"} if body.get("placement") else body)


class ForgetsThePin(Service):
    """A task that pins a pool goes to another."""

    def begin(self, task: Task, place: Mapping[str, object]) -> None:
        self.emit(task, "started", {**place, "pool_id": "spare" if "placement" in task.body else "only"})


class AnswersToAnything(Service):
    """Any model reference gets the one model there is."""

    def place(self, body: dict[str, object]) -> Answer | None:
        return super().place({**body, "model_ref": "default"})


def _read(answer: Answer) -> dict[str, object]:
    return msgspec.json.decode(answer.body, type=dict[str, object])
