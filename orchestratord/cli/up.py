"""`orchestratord up`: a service with a real model, from nothing, until a signal.

The embedded engine is started first and stopped last; the service binds it through the ordinary llama.cpp adapter. The
sample completion goes through the ordinary HTTP client of `run`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

import trio

from adapter_api import load_factory
from orchestratord.config import ConfigError, config_from
from orchestratord.embedded.engine import EngineSettings, open_embedded_engine
from orchestratord.embedded.model import bundled_model, require_extra, user_model
from orchestratord.embedded.reports import EngineUnavailable
from orchestratord.service import serve as serve_service

from .daemon import Refused, open_daemon
from .frames import Ended, TextView
from .guide import curl_guide
from .order import Order
from .parser import DEFAULT_URL
from .progress import open_progress
from .run import complete
from .serving import collect_rarely, require_free, serve_pools
from .signals import interruptible
from .start import CommandFailed

if TYPE_CHECKING:
    import argparse

    from adapter_api import Secret
    from orchestratord.config import Config
    from orchestratord.embedded.engine import EmbeddedEngine
    from orchestratord.embedded.model import Model
    from orchestratord.embedded.reports import Report

    from .daemon import Daemon
    from .frames import Outcome
    from .serving import Serve
    from .signals import Session

HOW_TO_MOVE = "choose another address with --bind HOST:PORT"
_ADDRESS_VARIABLES = {"ORCHD_ADDR", "BIND_ADDR"}
_SAMPLE_TOKENS = 48
_READY_TRIES = 10


def main(options: argparse.Namespace) -> int:
    """Start everything and serve."""
    up = Up(options, os.environ, sys.stdout, open_progress(sys.stderr), serve_service)
    collect_rarely()
    return trio.run(interruptible, up.run)


class Up:
    """One run of the command."""

    def __init__(
        self, options: argparse.Namespace, environ: Mapping[str, str], out: TextIO, report: Report, serve: Serve
    ) -> None:
        self._options = options
        self._environ = _without_address(environ) if options.bind else environ
        self._out = out
        self._report = report
        self._serve = serve

    async def run(self, session: Session) -> int:
        """Serve until a signal; returns the exit code. Raises `CommandFailed`."""
        if self._options.mock:
            return await self._serve_pool("mock", {"model_ref": "mock"}, session)
        require_free(self._config("llamacpp", NO_ENGINE).server.address, HOW_TO_MOVE)
        try:
            require_extra()
            async with open_embedded_engine(await self._model(), self._engine_settings(), self._report) as engine:
                return await self._serve_pool("llamacpp", embedded_pool(engine), session)
        except EngineUnavailable as error:
            raise CommandFailed(str(error)) from None

    async def _model(self) -> Model:
        if self._options.model is None:
            return await bundled_model(self._report)
        return await user_model(self._options.model, self._report)

    def _engine_settings(self) -> EngineSettings:
        options = self._options
        return EngineSettings(parallel=options.parallel, ctx=options.ctx, log_path=options.engine_log)

    async def _serve_pool(self, engine: str, pool: Mapping[str, object], session: Session) -> int:
        config = self._config(engine, pool)

        def greet(url: str) -> None:
            self._guide(config, url)

        async def sample(url: str) -> None:
            await self._sample(url, config.auth.token)

        beside = None if self._options.no_sample else sample
        return await serve_pools(config, self._serve, session, greet=greet, beside=beside, how_to_move=HOW_TO_MOVE)

    def _config(self, engine: str, pool: Mapping[str, object]) -> Config:
        data: dict[str, object] = {
            "log": {"level": self._options.log_level},
            "pools": [{"id": "default", "engine": engine, "default": True, "replicas": [{}], **pool}],
        }
        if self._options.bind:
            data["server"] = {"bind": self._options.bind}
        try:
            return config_from(data, self._environ, source="orchestratord up")
        except ConfigError as error:
            raise CommandFailed(f"cannot start like this:\n{error}") from None

    def _guide(self, config: Config, url: str) -> None:
        pool = config.pools[0]
        token = None if config.auth.token is None else "AUTH_TOKEN"
        self._write(f"\norchestratord serves the model {pool.answers_to()[-2]} at {url}\n\nTry it:\n\n")
        self._write(curl_guide(url, engine=pool.engine, ctx=self._options.ctx, token_variable=token))
        self._write(f'\nOr simply:  orchestratord run "{self._options.prompt}"{_url_flag(url)}\n')

    async def _sample(self, url: str, token: Secret | None) -> None:
        self._write("\nA first task, through the same door:\n\n")
        try:
            async with open_daemon(url, token) as daemon:
                outcome = await self._complete_once_ready(daemon)
            failure = None if isinstance(outcome, Ended) else outcome.in_words()
        except CommandFailed as error:
            failure = str(error)
        if failure is not None:
            self._write(f"\nthe sample failed: {failure}\n")
        self._write(f"\nServing at {url}. Ctrl-C drains and stops.\n")

    async def _complete_once_ready(self, daemon: Daemon) -> Outcome:
        """Run the sample; the pool may take a moment to be seen ready."""
        order = Order(prompt=self._options.prompt, max_tokens=_SAMPLE_TOKENS, temperature=0.0, seed=7)
        view = TextView(self._out, self._out, before=order.prompt)
        for _ in range(_READY_TRIES):
            try:
                return await complete(daemon, order, view)
            except Refused as refused:
                if refused.envelope.code != "POOL_UNREADY":
                    raise
                await trio.sleep((refused.envelope.retry_after_ms or 1000) / 1000)
        return await complete(daemon, order, view)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


NO_ENGINE: Mapping[str, object] = {"model_ref": "none", "replicas": [{"settings": {"url": "http://127.0.0.1:9"}}]}
"""A pool to check the rest of the configuration with, before there is an engine."""


def embedded_pool(engine: EmbeddedEngine) -> dict[str, object]:
    """The pool of the embedded engine, in the form of the configuration file."""
    facts = {"url": engine.url, "model_digest": engine.model.digest, "engine_version": engine.version}
    known = load_factory("llamacpp").settings_schema.get("properties", {})
    settings = {name: value for name, value in facts.items() if isinstance(known, Mapping) and name in known}
    return {
        "model_ref": f"file:{engine.model.path}",
        "aliases": [engine.model.name],
        "replicas": [{"settings": settings}],
    }


def _without_address(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what `--bind` overrides."""
    return {name: value for name, value in environ.items() if name not in _ADDRESS_VARIABLES}


def _url_flag(url: str) -> str:
    return "" if url == DEFAULT_URL else f" --url {url}"
