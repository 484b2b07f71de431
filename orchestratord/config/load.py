"""From a file, or a mapping, and the environment to a `Config` that is right as a whole.

Two rounds, each telling everything it finds: first the shape (keys, types, ranges), then what only the whole can show
(addresses, duplicates, credentials, each adapter's settings). A configuration that leaves here needs no further check.

Implements: OC-CONFIG-6001, OC-CONFIG-6030, OC-CONFIG-6031, OC-CONFIG-6032, OC-CONFIG-6033, AUTH-1002.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adapter_api import Secret, load_factory

from .auth import resolve_auth
from .egress import egress_problems
from .env import apply_overrides
from .lines import find_line, key_lines
from .model import ConfigFile, EgressConfig, HistoryConfig, LogConfig, PoolConfig, ServerConfig, StreamConfig
from .pools import resolve_pools
from .problems import ConfigError, Problem
from .schema import check_shape
from .secrets import hidden_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter_api import AdapterFactory

    from .problems import KeyPath

    FindFactory = Callable[[str], AdapterFactory]


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """How callers prove themselves; `token` is None where none is asked for."""

    token: Secret | None = None
    optional: bool = False
    trust_proxy: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration: checked, with every credential in its place as a `Secret`."""

    server: ServerConfig
    auth: Auth
    stream: StreamConfig
    history: HistoryConfig
    egress: EgressConfig
    log: LogConfig
    pools: tuple[PoolConfig, ...]

    def secret_values(self) -> tuple[str, ...]:
        """Every credential in the configuration, in plain, for the redactor and for nobody else."""
        found = [] if self.auth.token is None else [self.auth.token.reveal()]
        for pool in self.pools:
            found += hidden_values(pool.answers_to())
            for replica in pool.replicas:
                found += hidden_values(replica.settings)
        return tuple(dict.fromkeys(value for value in found if value))


def load_config(
    path: str | os.PathLike[str], environ: Mapping[str, str], factories: FindFactory = load_factory
) -> Config:
    """Read a TOML file and apply the environment; raises `ConfigError` with everything that is wrong."""
    name = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem((), _unreadable(error), name)]) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem((), f"not valid TOML: {error}", name)]) from None
    return config_from(data, environ, factories, source=name, lines=key_lines(text))


def config_from(
    data: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
    factories: FindFactory = load_factory,
    *,
    source: str = "configuration",
    lines: Mapping[KeyPath, int] | None = None,
) -> Config:
    """Check data in the form of the file; no environment means none is read. Raises `ConfigError`."""
    environ = {} if environ is None else environ
    overridden = apply_overrides(data, environ)
    place = _Place(source, lines or {}, overridden.sources)
    place.refuse([*overridden.problems, *check_shape(overridden.data)])
    try:
        file = msgspec.convert(overridden.data, ConfigFile, strict=True)
    except msgspec.ValidationError as error:  # the schema and the types disagree on a corner: still told as a problem
        raise ConfigError([Problem((), str(error), source)]) from None
    config, problems = _resolve(file, overridden.data, environ, factories)
    place.refuse(problems)
    return config


def _resolve(
    file: ConfigFile, data: Mapping[str, object], environ: Mapping[str, str], factories: FindFactory
) -> tuple[Config, list[Problem]]:
    token, problems = resolve_auth(file, names_variable="token_env" in _table(data, "auth"), environ=environ)
    pools, pool_problems = resolve_pools(file.pools, environ, factories)
    auth = Auth(token=token, optional=file.auth.optional, trust_proxy=file.auth.trust_proxy)
    config = Config(
        server=file.server,
        auth=auth,
        stream=file.stream,
        history=file.history,
        egress=file.egress,
        log=file.log,
        pools=pools,
    )
    return config, [*problems, *pool_problems, *egress_problems(file.egress.allow, pools)]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where each key came from."""

    source: str
    lines: Mapping[KeyPath, int]
    variables: Mapping[KeyPath, str] = field(default_factory=dict)

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Raise `ConfigError` if there are problems, each with its place."""
        placed = [self._placed(problem) for problem in problems]
        if placed:
            raise ConfigError(sorted(placed, key=lambda problem: problem.line or 0))

    def _placed(self, problem: Problem) -> Problem:
        if problem.source:
            return problem
        if problem.path in self.variables:
            return replace(problem, source=self.variables[problem.path])
        return replace(problem, source=self.source, line=find_line(self.lines, problem.path))


def _table(data: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = data.get(name, {})
    return table if isinstance(table, Mapping) else {}


def _unreadable(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not a text in UTF-8"
    if isinstance(error, FileNotFoundError):
        return "no such file; `orchestratord config init` writes one to begin with"
    return f"cannot be read: {os.strerror(error.errno or 0)}"
