"""What only the pools together can show: duplicates, the one default, profiles, and each adapter's settings.

Implements: OC-CONFIG-6033, AH-1006.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from adapter_api import AdapterNotFound, installed_engines

from .problems import Problem, did_you_mean
from .settings import keys_of, resolve_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from adapter_api import AdapterFactory

    from .model import PoolConfig, ReplicaConfig
    from .problems import KeyPath

    FindFactory = Callable[[str], AdapterFactory]


def resolve_pools(
    pools: Sequence[PoolConfig], environ: Mapping[str, str], factories: FindFactory
) -> tuple[tuple[PoolConfig, ...], list[Problem]]:
    """Return the pools with their adapters' settings resolved, and what is wrong with them."""
    problems = [*_duplicates(pools, ("pools",)), *_defaults(pools)]
    resolved: list[PoolConfig] = []
    for at, pool in enumerate(pools):
        path = ("pools", at)
        problems += [*_duplicates(pool.replicas, (*path, "replicas")), *_names(pool, path)]
        replicas = _resolve_replicas(pool, path, environ, factories, problems)
        resolved.append(msgspec.structs.replace(pool, replicas=replicas))
    return tuple(resolved), problems


def _resolve_replicas(
    pool: PoolConfig, path: KeyPath, environ: Mapping[str, str], factories: FindFactory, problems: list[Problem]
) -> tuple[ReplicaConfig, ...]:
    try:
        schema = factories(pool.engine).settings_schema
    except AdapterNotFound as error:
        problems.append(Problem((*path, "engine"), f"{error}{did_you_mean(pool.engine, installed_engines())}"))
        return pool.replicas
    known = keys_of(schema, "timeouts")
    bounds = {name: value for name, value in pool.timeouts.given().items() if name in known}
    problems += _unknown_bounds(pool, known, (*path, "timeouts"))
    resolved: list[ReplicaConfig] = []
    for at, replica in enumerate(pool.replicas):
        where = (*path, "replicas", at, "settings")
        settings, found = resolve_settings(_with_bounds(replica.settings, bounds), schema, environ, at=where)
        problems += found
        resolved.append(msgspec.structs.replace(replica, settings=settings))
    return tuple(resolved)


def _with_bounds(settings: Mapping[str, object], bounds: Mapping[str, int]) -> Mapping[str, object]:
    """Put the pool's time bounds under the replica's own; what is no table is left for the check of its shape."""
    own = settings.get("timeouts", {})
    return {**settings, "timeouts": {**bounds, **own}} if bounds and isinstance(own, dict) else settings


def _unknown_bounds(pool: PoolConfig, known: Sequence[str], path: KeyPath) -> Iterator[Problem]:
    there = ", ".join(known) or "none"
    for name in (name for name in pool.timeouts.given() if name not in known):
        yield Problem((*path, name), f"the adapter of {pool.engine} has no such bound (it has: {there})")


def _duplicates(named: Iterable[PoolConfig | ReplicaConfig], path: KeyPath) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for at, item in enumerate(named):
        if seen.setdefault(item.id, at) != at:
            yield Problem((*path, at, "id"), f'"{item.id}" is the id of {path[-1]}[{seen[item.id]}] already')


def _defaults(pools: Sequence[PoolConfig]) -> Iterator[Problem]:
    marked = [at for at, pool in enumerate(pools) if pool.default]
    for at in marked[1:]:
        yield Problem(("pools", at, "default"), f"pools[{marked[0]}] is the default already: only one pool can be")


def _names(pool: PoolConfig, path: KeyPath) -> Iterator[Problem]:
    if pool.default_profile is not None and pool.default_profile not in pool.sampler_profiles:
        known = ", ".join(sorted(pool.sampler_profiles)) or "none"
        yield Problem((*path, "default_profile"), f"no such profile in sampler_profiles (there: {known})")
    names = {"model_ref": [pool.model_ref], "aliases": pool.aliases}
    for key in (key for key, refs in names.items() if "default" in refs and not pool.default):
        yield Problem((*path, key), 'the name "default" selects the default pool: write `default = true` instead')
