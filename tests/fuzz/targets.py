"""The adapters that are fed with mutated bytes: how each is opened in front of its double.

An engine whose adapter or double is not there yet is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from adapter_api import (
    AdapterContext,
    Message,
    PoolId,
    ReplicaId,
    Secret,
    TaskId,
    TaskRequest,
    Workload,
    load_factory,
)
from conformance.engines.script import Finish, Pause, Script, Text
from conformance.subjects import SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from adapter_api import WorkerAdapter
    from adapter_api._adapter import Dial
    from conformance.engines.double import EngineDouble

REPORTS = "reports"
SECRET = "sk-a-key-that-only-the-engine-gets"
TIMEOUTS = {"connect_ms": 1000, "first_token_ms": 5000, "idle_ms": 3000, "total_ms": 20_000, "health_ms": 2000}
LONGEST_CALL_S = 30.0
"""All bounds of a request together, with room for what closes it."""

_SCRIPT = Script.of(Text("Once"), Text(" upon"), Pause(0.1), Text(" a"), Text(" café"), Text(" 漢字"), Finish("stop"))


_MESSAGES = (Message("system", "Be kind."), Message("user", "Hello"))
_TASKS = {
    "completion": TaskRequest(task_id=TaskId("t"), prompt="Say", max_tokens=8, seed=7),
    "chat": TaskRequest(task_id=TaskId("t"), messages=_MESSAGES, max_tokens=8, seed=7),
    "embedding": TaskRequest(task_id=TaskId("t"), workload=Workload.EMBEDDING, inputs=("a b", "c")),
    "rerank": TaskRequest(task_id=TaskId("t"), workload=Workload.RERANK, prompt="a", inputs=("a b", "c")),
}


class _OpenDouble(Protocol):
    def __call__(self, settings: object, *scripts: Script) -> AbstractAsyncContextManager[EngineDouble]: ...


@dataclass(frozen=True, eq=False, repr=False, slots=True, kw_only=True)
class Target:
    """One adapter, in one way of using it.

    The double's package exports `open_<engine>` and `settings_class`, which `double_settings` are for;
    `adapter_settings` are added to the common ones. `kinds` are the kinds of work that engine and adapter can do.
    """

    name: str
    engine: str
    settings_class: str
    double_settings: Mapping[str, object] = field(default_factory=dict)
    adapter_settings: Mapping[str, object] = field(default_factory=dict)
    kinds: Sequence[str] = tuple(_TASKS)
    has_seeds: bool = True

    def __repr__(self) -> str:
        return self.name

    @property
    def tasks(self) -> Mapping[str, TaskRequest]:
        """What the adapter is asked for, by kind."""
        return {kind: _TASKS[kind] if self.has_seeds else replace(_TASKS[kind], seed=None) for kind in self.kinds}

    def words(self) -> frozenset[str]:
        """Return every word in the sources of the adapter and of what adapters share."""
        packages = (f"adapters.{self.engine}", "http_util")
        folders = [Path(str(import_module(name).__file__)).parent for name in packages]
        texts = [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py")]
        return frozenset(word for text in texts for word in re.findall(r"\w+", text))

    def open_double(self) -> AbstractAsyncContextManager[EngineDouble]:
        """Open the double, in memory."""
        module = import_module(f"conformance.engines.{self.engine}")
        settings = getattr(module, self.settings_class)(**self.double_settings)
        opened = cast("_OpenDouble", getattr(module, f"open_{self.engine}"))
        return opened(settings, _SCRIPT)

    def open_adapter(self, url: str, context: AdapterContext) -> AbstractAsyncContextManager[WorkerAdapter]:
        """Open the adapter with short bounds."""
        settings = {"url": url, "api_key": Secret(SECRET), "timeouts": TIMEOUTS, **self.adapter_settings}
        return load_factory(self.engine).open(settings, context)


def context_with(dial: Dial) -> AdapterContext:
    """Return the surroundings of an adapter whose connections `dial` opens."""
    return AdapterContext(pool_id=PoolId("pool"), replica_id=ReplicaId("replica"), random=lambda: 0.5, dial=dial)


_NO_RERANK = ("completion", "chat", "embedding")
_TEXT = ("completion", "chat")
_VLLM = {"has_embeddings": True, "has_reranking": True}
_TRITON = {"model": "vllm_model", "embedding": {"model": "embedding"}, "rerank": {"model": "ranking"}}
_ALL = (
    Target(
        name="llamacpp",
        engine="llamacpp",
        settings_class="LlamaSettings",
        double_settings={"has_embeddings": True, "has_reranking": True},
    ),
    Target(name="vllm", engine="vllm", settings_class="VllmSettings", double_settings=_VLLM),
    Target(name="tgi", engine="tgi", settings_class="TgiSettings", kinds=_TEXT),
    Target(
        name="tgi-openai",
        engine="tgi",
        settings_class="TgiSettings",
        adapter_settings={"api": "openai"},
        kinds=_TEXT,
    ),
    Target(name="openai", engine="openai", settings_class="OpenAiSettings", kinds=_NO_RERANK),
    Target(
        name="openai-responses",
        engine="openai",
        settings_class="OpenAiSettings",
        adapter_settings={"api": "responses"},
        kinds=_TEXT,
        has_seeds=False,
    ),
    Target(
        name="triton",
        engine="triton",
        settings_class="TritonSettings",
        double_settings={"dialect": "vllm", "model": "vllm_model"},
        adapter_settings=_TRITON,
        kinds=("completion", "embedding", "rerank"),
    ),
    Target(
        name="triton-classic",
        engine="triton",
        settings_class="TritonSettings",
        double_settings={"dialect": "classic", "model": "ensemble"},
        adapter_settings={"model": "ensemble", "stop_by_request_id": True},
        kinds=("completion",),
    ),
    Target(
        name="triton-grpc",
        engine="triton",
        settings_class="TritonSettings",
        double_settings={"dialect": "vllm", "model": "vllm_model"},
        adapter_settings={"model": "vllm_model", "transport": "grpc", "grpc_url": "grpc://engine.test:8081"},
        kinds=("completion",),
    ),
    Target(
        name="triton-infer",
        engine="triton",
        settings_class="TritonSettings",
        double_settings={"dialect": "vllm", "model": "vllm_model", "is_decoupled": False},
        adapter_settings={"model": "vllm_model", "transport": "infer"},
        kinds=("completion",),
    ),
)

TARGETS = tuple(target for target in _ALL if target.engine in SUBJECTS)
