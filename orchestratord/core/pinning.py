"""Which replicas of a pool are the same, so that any of them may answer.

A pool serves one engine version and one model digest. Which ones is settled by the replicas that serve: as long as one
of them has what is pinned, whoever differs is the odd one; when none has, the most common one is pinned. What a replica
does not tell fits everything.

Implements: OC-CORE-1031, OC-CORE-1032.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter_api import Capabilities

UNKNOWN = frozenset({"", "unknown"})
"""What adapters say of a version that the engine does not tell."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What has to be the same; None is not known."""

    engine_version: str | None = None
    model_digest: str | None = None

    def fits(self, other: Identity) -> bool:
        """Whether nothing that both tell differs."""
        return not self.differences(other)

    def differences(self, pinned: Identity) -> str:
        """Say what differs from what is pinned, with both values; empty if nothing does."""
        told = [(field.name, getattr(self, field.name), getattr(pinned, field.name)) for field in fields(self)]
        return "; ".join(
            f"{name}: {own!r} here, {theirs!r} in the rest of the pool"
            for name, own, theirs in told
            if own is not None and theirs is not None and own != theirs
        )


def identity_of(known: Capabilities | None) -> Identity:
    """Return the identity that an engine's capabilities tell."""
    if known is None:
        return Identity()
    version = None if known.engine_version in UNKNOWN else known.engine_version
    return Identity(version, known.model_digest)


def pin(pinned: Identity, serving: Sequence[Identity]) -> Identity:
    """Return what the pool is pinned to from now on, given the replicas that serve."""
    told = [identity for identity in serving if identity != Identity()]
    if told and (pinned == Identity() or not any(identity.fits(pinned) for identity in told)):
        pinned = max(told, key=lambda each: sum(each.fits(other) for other in told))
    for identity in told:
        pinned = _filled(pinned, identity) if identity.fits(pinned) else pinned
    return pinned


def _filled(pinned: Identity, told: Identity) -> Identity:
    return Identity(pinned.engine_version or told.engine_version, pinned.model_digest or told.model_digest)
