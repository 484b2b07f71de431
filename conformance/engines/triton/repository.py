"""The models a server has and the work they do, whichever protocol asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

import trio

from .failures import Code, Refused
from .generation import Generation
from .models import PERMANENT_VERSION
from .queue import Queue
from .statistics import Tally, metrics

if TYPE_CHECKING:
    from conformance.engines.double import Facts
    from conformance.engines.play import Wire
    from conformance.engines.script import Fail
    from conformance.engines.server import Job, Visit

    from .generation import Sink
    from .models import Model
    from .requests import InferRequest
    from .settings import TritonSettings


class Process(Protocol):
    """What the models need of the process they live in."""

    facts: Facts
    nursery: trio.Nursery

    @property
    def is_loading(self) -> bool:
        """Whether the models are being loaded."""

    async def generate(self, exchange: Visit, job: Job) -> None:
        """Run a job with the next script."""

    def die(self, down_s: float, loading_s: float = 0.0) -> None:
        """End the process."""

    def load_model(self, seconds: float) -> None:
        """Load the models from now on."""

    def fail_batch(self, failure: Fail) -> None:
        """Make every generation report `failure`."""


_NO_NUMBER = (
    "failed to get model version from specified version string '{}' (details: stol), version should be an integral "
    "value > 0"
)


@final
class Repository:
    """The models of one server."""

    def __init__(self, process: Process, settings: TritonSettings) -> None:
        self.settings = settings
        self.models = {model.name: model for model in settings.models}
        self.queue = Queue(settings, process.facts)
        self.nursery = process.nursery
        self.is_exiting = False
        self._process = process
        self._tallies = {name: Tally() for name in self.models}
        self._working: set[Generation] = set()
        self.load_model = process.load_model
        self.fail_batch = process.fail_batch

    @property
    def is_ready(self) -> bool:
        """Whether every model can be used."""
        return not self._process.is_loading

    def known(self, name: str, version: str) -> Model:
        """Return a model of the repository, ready or not, or refuse as the server does."""
        if name not in self.models:
            raise Refused(f"Request for unknown model: '{name}' is not found", Code.NOT_FOUND)
        if version and not version.isdecimal():
            raise Refused(_NO_NUMBER.format(version))
        if version not in {"", PERMANENT_VERSION}:
            raise Refused(f"Request for unknown model: '{name}' version {version} is not found", Code.NOT_FOUND)
        return self.models[name]

    def has_ready(self, name: str, version: str) -> bool:
        """Return whether there is such a model and it is ready."""
        return self.is_ready and name in self.models and version in {"", PERMANENT_VERSION}

    def counted(self, name: str, version: str) -> Model:
        """Return a model that has statistics, or refuse in the words that are used for these."""
        if name not in self.models:
            raise Refused(f"requested model '{name}' is not available")
        return self.known(name, version)

    def find(self, name: str, version: str) -> Model:
        """Return a model that is ready, or refuse."""
        model = self.known(name, version)
        if not self.is_ready:
            text = f"Request for unknown model: '{name}' version {PERMANENT_VERSION} is not at ready state"
            raise Refused(text, Code.UNAVAILABLE)
        return model

    def tally(self, request: InferRequest) -> Tally:
        """Return the counts of the request's model."""
        return self.tally_of(request.model)

    def tally_of(self, model: Model) -> Tally:
        """Return the counts of a model."""
        return self._tallies[model.name]

    def metrics(self) -> bytes:
        """Return the body of `/metrics`."""
        first = next(iter(self.models))
        pending = {name: self.queue.waiting if name == first else 0 for name in self.models}
        return metrics(self._tallies, pending, self.queue.seats, self.settings.dialect)

    def die(self, down_s: float, loading_s: float) -> None:
        """End the process."""
        self._process.die(down_s, loading_s)

    def forget(self) -> None:
        """Drop all work: the process is gone."""
        for generation in self._working:
            generation.drop()
        self._tallies = {name: Tally() for name in self.models}

    async def infer(self, visit: Visit, request: InferRequest, sink: Sink, wire: Wire) -> None:
        """Do what is asked: stop another request, compute, or generate text. Raises `Refused` before any answer."""
        if request.flag("stop"):
            self._stop(request)
            await sink.complete()
        elif request.model.dialect is None:
            await self._compute(request, sink)
        elif not await self._is_full(request, sink):
            generation = Generation(self, request, request.model.dialect, sink, wire)
            self._working.add(generation)
            generation.on_end = self._working.discard
            await self._process.generate(visit, generation)

    def _stop(self, request: InferRequest) -> None:
        if not request.id:
            raise Refused("A request id must be provided for request cancellation")
        for generation in self._working:
            if generation.request.id == request.id:
                generation.break_off(Refused(_stopped(generation.request), Code.CANCELLED))

    async def _is_full(self, request: InferRequest, sink: Sink) -> bool:
        """Refuse a request for which there is no room; an ensemble does so from inside."""
        try:
            self.queue.check_room(request)
        except Refused as refused:
            if request.model.platform != "ensemble":
                raise
            await sink.fail(refused)
            return True
        return False

    async def _compute(self, request: InferRequest, sink: Sink) -> None:
        assert request.model.function is not None
        self.queue.check_room(request)
        began_at = trio.current_time()
        async with self.queue.place(request):
            placed_at = trio.current_time()
            await trio.sleep(self.settings.prefill_s)
            outputs = request.model.function(request.inputs)
        now = trio.current_time()
        tally = self.tally(request)
        tally.note(at_s=now, queue_s=placed_at - began_at, infer_s=now - placed_at, failure=None)
        await sink.respond(outputs, is_last=True)
        await sink.complete()


def _stopped(request: InferRequest) -> str:
    is_ensemble = request.model.platform == "ensemble"
    where = f"in ensemble '{request.model.name}', " if is_ensemble else ""
    return f"{request.label}{where}Request cancelled by client"
