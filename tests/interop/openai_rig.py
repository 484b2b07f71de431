"""The doubles that the `openai` package speaks to, over TCP, as the package comes.

The client checks every answer against its own data model and raises where a double strays from it; where that model is
narrower than what OpenAI itself sends, a test says so. The client blocks, so it runs in a thread of its own.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import trio
from openai import OpenAI

from conformance.engines.llamacpp import LlamaSettings, open_llamacpp
from conformance.engines.openai import OpenAiSettings, open_openai
from conformance.engines.vllm import VllmSettings, open_vllm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from openai.types.chat import ChatCompletionUserMessageParam

    from conformance.engines.script import Script
    from conformance.engines.server import ServerDouble

AnswerT = TypeVar("AnswerT")
Settings = LlamaSettings | OpenAiSettings | VllmSettings

ENGINES = ("vllm", "llamacpp", "openai")
KEY = "sk-of-the-test"
SETTINGS: dict[str, Settings] = {
    "vllm": VllmSettings(api_key=KEY, has_embeddings=True),
    "llamacpp": LlamaSettings(api_key=KEY, has_embeddings=True, release_s=0.01),
    "openai": OpenAiSettings(api_key=KEY),
}
MODEL = "tiny"
HI: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Hi"}]
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """A double and what speaks to it."""

    double: ServerDouble
    url: str

    async def ask(
        self, call: Callable[[OpenAI], AnswerT], *, retries: int = 0, key: str = KEY, is_strict: bool = True
    ) -> AnswerT:
        """Return what `call` makes of a client; raises what the client raises."""

        def work() -> AnswerT:
            with OpenAI(
                base_url=f"{self.url}/v1",
                api_key=key,
                max_retries=retries,
                timeout=PATIENCE_S,
                _strict_response_validation=is_strict,
            ) as client:
                return call(client)

        return await trio.to_thread.run_sync(work)

    async def settle(self) -> None:
        """Wait until the engine has let go of every request; the client's bytes pass through the operating system."""
        with trio.fail_after(PATIENCE_S):
            while self.double.facts.live:  # noqa: ASYNC110 - nothing tells when a double is at rest
                await trio.sleep(0.005)


@asynccontextmanager
async def speaking(engine: str, *scripts: Script, settings: Settings | None = None) -> AsyncIterator[Spoken]:
    async with _double(settings or SETTINGS[engine], *scripts) as double:
        yield Spoken(double, await double.serve_tcp())


def _double(settings: Settings, *scripts: Script) -> AbstractAsyncContextManager[ServerDouble]:
    match settings:
        case LlamaSettings():
            return open_llamacpp(settings, *scripts)
        case VllmSettings():
            return open_vllm(settings, *scripts)
        case OpenAiSettings():
            return open_openai(settings, *scripts)
