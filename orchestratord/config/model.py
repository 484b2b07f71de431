"""The configuration file as types: every key, its range, its default and what it means.

One frozen struct per table. Units stand in the names (`_ms`, `_bytes`), a key without a default is required, and
unknown keys are refused. The descriptions here become the JSON Schema and the commented example, so a key is documented
once. It reads no file and no environment.

Implements: OC-CONFIG-6001, OC-CONFIG-6010.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from adapter_api import Sampling

from .bind import BIND_PATTERN, Address, parse_bind
from .described import DAY_MS, meta, text
from .egress import ALLOWED_PATTERN
from .replicas import BreakerConfig, HealthConfig, RetryConfig, TimeoutsConfig, policy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter_host import PoolPolicy

_MIB = 1 << 20
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The HTTP listener."""

    bind: Annotated[
        str,
        text(
            "Address and port to listen on, as host:port or [ipv6]:port. Anything but loopback needs a token.",
            example="127.0.0.1:8080",
            pattern=BIND_PATTERN,
        ),
    ] = "127.0.0.1:8080"
    body_max_bytes: Annotated[
        int,
        meta("Largest request body; a larger one is answered with 413.", ge=1024, le=1024 * _MIB, example=4 * _MIB),
    ] = 4 * _MIB
    max_connections: Annotated[
        int,
        meta("Most connections at once; a client beyond them is answered with 429.", ge=1, le=65_536, example=1024),
    ] = 1024
    client_stall_timeout_ms: Annotated[
        int,
        meta(
            "How long a client may leave its end of a connection unread before the connection is cut.",
            ge=100,
            le=DAY_MS,
            example=10_000,
        ),
    ] = 10_000
    drain_deadline_ms: Annotated[
        int,
        meta(
            "How long running tasks may go on after SIGTERM before they are cancelled.",
            ge=0,
            le=DAY_MS,
            example=10_000,
        ),
    ] = 10_000

    @property
    def address(self) -> Address:
        """`bind` taken apart."""
        return parse_bind(self.bind)


class AuthConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The one shared token. It is never written in this file: name where it is."""

    token_env: Annotated[
        str,
        text("Environment variable that holds the token.", example="AUTH_TOKEN", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    ] = "AUTH_TOKEN"
    token_file: (
        Annotated[
            str,
            text(
                "File that holds the token, read at start when the variable is not set.", example="/run/secrets/token"
            ),
        ]
        | None
    ) = None
    optional: Annotated[bool, meta("Let requests that come from loopback omit the token; nobody else.")] = False
    trust_proxy: Annotated[
        bool,
        meta(
            "Trust any Authorization header that comes from loopback, where a reverse proxy has checked it. Every "
            "program on this machine is then trusted."
        ),
    ] = False


class StreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the frames of one task reach its reader."""

    channel_cap: Annotated[
        int,
        meta(
            "Frames that may wait for the slowest reader before the engine is slowed down.", ge=1, le=65_536, example=32
        ),
    ] = 32
    microbatch_ms: Annotated[
        int,
        meta("Window in which frames are gathered into one write; 0 writes each at once.", ge=0, le=1000, example=5),
    ] = 0
    heartbeat_ms: Annotated[
        int,
        meta("Interval of keep-alive comments on a silent stream; 0 sends none.", ge=0, le=DAY_MS, example=15_000),
    ] = 0
    cancel_on_disconnect: Annotated[bool, meta("Cancel a task when its reader goes away.")] = True
    resume_window_ms: Annotated[
        int,
        meta(
            "How long a task runs on without a reader, so that one may resume with Last-Event-ID; 0: not at all.",
            ge=0,
            le=DAY_MS,
            example=30_000,
        ),
    ] = 0
    cancel_ack_timeout_ms: Annotated[
        int,
        meta("Longest time a cancel waits for the engine before it is acknowledged.", ge=1, le=60_000, example=1000),
    ] = 1000
    metrics_period_ms: Annotated[
        int, meta("Shortest time between two `metrics` frames of one stream.", ge=10, le=DAY_MS, example=500)
    ] = 500
    narration: Annotated[bool, meta("Send `narration` frames.")] = False
    narration_period_ms: Annotated[
        int,
        meta(
            "Interval of `narration` frames between start and end; 0 sends only those two.",
            ge=0,
            le=DAY_MS,
            example=5000,
        ),
    ] = 0
    max_log_bytes: Annotated[
        int,
        meta("Most bytes of frames kept for one task; a longer answer ends with an error.", ge=65_536, le=1024 * _MIB),
    ] = 16 * _MIB


class HistoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Finished tasks that can still be asked about; the first of the three limits that is reached counts."""

    max_tasks: Annotated[int, meta("Most finished tasks kept.", ge=0, le=1_000_000, example=1000)] = 1000
    ttl_ms: Annotated[int, meta("How long a finished task is kept.", ge=0, le=DAY_MS, example=600_000)] = 600_000
    max_bytes: Annotated[int, meta("Most memory that finished tasks take together.", ge=0, le=64 * 1024 * _MIB)] = (
        32 * _MIB
    )


class EgressConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where engines may be."""

    allow: (
        Annotated[
            tuple[Annotated[str, msgspec.Meta(pattern=ALLOWED_PATTERN)], ...],
            meta(
                "Hosts (`host` or `host:port`) that adapters may connect to, and no others; absent: those that a "
                "replica's settings name.",
                example=["127.0.0.1", "gpu-1.lan:8000"],
            ),
        ]
        | None
    ) = None


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The service's own log, on standard error."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], meta("Least severity that is written.", example="info")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "pretty"],
        meta("One JSON object a line, a form for people, or `auto`: pretty on a terminal.", example="auto"),
    ] = "auto"
    prompts: Annotated[bool, meta("Write prompts to the log. They are personal data: leave this off.")] = False


class QueueConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where tasks wait when every slot is taken."""

    capacity: Annotated[
        int, meta("Most tasks that wait, both priorities together.", ge=1, le=1_000_000, example=64)
    ] = 64
    policy: Annotated[
        Literal["reject", "drop-lru", "shed-low-priority"],
        meta(
            "When it is full: `reject` the new task, `drop-lru`: drop the oldest waiting "
            "task (batch first), `shed-low-priority`: drop the batch task that "
            "has waited least, for an interactive one, and reject batch.",
            example="reject",
        ),
    ] = "reject"


class SamplerProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sampling parameters under a name; a request asks for them with `sampler_profile_version`."""

    temperature: (
        Annotated[float, meta("Randomness; 0 takes the likeliest token.", ge=0, le=100, example=0.7)] | None
    ) = None
    top_p: (
        Annotated[float, meta("Keep the likeliest tokens up to this probability.", ge=0, le=1, example=0.95)] | None
    ) = None
    top_k: Annotated[int, meta("Keep this many of the likeliest tokens; 0 keeps all.", ge=0, example=40)] | None = None
    min_p: Annotated[float, meta("Drop tokens below this share of the likeliest.", ge=0, le=1, example=0.05)] | None = (
        None
    )
    repeat_penalty: Annotated[float, meta("Penalty on repeated tokens; 1 is none.", ge=0, example=1.1)] | None = None
    presence_penalty: Annotated[float, meta("Penalty on tokens already present.", ge=-2, le=2, example=0.0)] | None = (
        None
    )
    frequency_penalty: (
        Annotated[float, meta("Penalty by how often a token occurred.", ge=-2, le=2, example=0.0)] | None
    ) = None
    stop: Annotated[tuple[str, ...], meta("Texts that end the answer.", example=["\n\n"])] = ()

    def sampling(self) -> Sampling:
        """The profile as an adapter takes it."""
        return Sampling(**msgspec.structs.asdict(self))


class ReplicaConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One running engine."""

    id: Annotated[str, text("Name of the replica, unique in its pool.", example="r0", pattern=_NAME)] = "r0"
    settings: Annotated[
        dict[str, object],
        meta(
            "What the engine's adapter needs; `orchestratord config schema` shows the keys of each installed engine. "
            "A credential KEY is given as KEY_env (a variable's name) or KEY_file (a path), never as KEY.",
            example={"url": "http://127.0.0.1:8081", "api_key_env": "LLAMA_API_KEY"},
        ),
    ] = {}

    def __repr__(self) -> str:
        return f"ReplicaConfig(id={self.id!r}, settings={sorted(self.settings)})"


class PoolConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Replicas of one engine that serve one model, with one queue in front of them."""

    id: Annotated[str, text("Name of the pool, unique in the file.", example="small", pattern=_NAME)]
    engine: Annotated[str, text("Engine, by the name of an installed adapter.", example="llamacpp", pattern=_NAME)]
    model_ref: Annotated[
        str, text("Model reference that requests select this pool with.", example="hf:org/repo/model.gguf")
    ]
    replicas: Annotated[tuple[ReplicaConfig, ...], msgspec.Meta(description="The engines of the pool.", min_length=1)]
    aliases: Annotated[
        tuple[str, ...], meta("Further names that `model_ref` may select it by.", example=["small"])
    ] = ()
    default: Annotated[bool, meta("Serve requests whose `model_ref` is `default`; at most one pool does.")] = False
    ctx_max: Annotated[int, meta("Context size in tokens; absent: ask the engine.", ge=1, example=4096)] | None = None
    max_tokens_out: (
        Annotated[int, meta("Most tokens a request may ask for; absent: ask the engine.", ge=1, example=1024)] | None
    ) = None
    concurrency: (
        Annotated[
            int, meta("Tasks that run at once on each replica; absent: ask the engine.", ge=1, le=65_536, example=4)
        ]
        | None
    ) = None
    queue: Annotated[QueueConfig, meta("Where tasks wait when every slot is taken.")] = QueueConfig()
    probe_interval_ms: Annotated[
        int, meta("Time between two health probes of a replica.", ge=50, le=DAY_MS, example=2000)
    ] = 2000
    slot_release_grace_ms: Annotated[
        int,
        meta("How long a slot counts as busy after a cancel when the engine does not say it is free.", ge=0, le=DAY_MS),
    ] = 3000
    timeouts: Annotated[TimeoutsConfig, meta("Time bounds for every replica.")] = TimeoutsConfig()
    retry: Annotated[RetryConfig, meta("Trying a task again on another replica.")] = RetryConfig()
    breaker: Annotated[BreakerConfig, meta("Leaving a replica alone that fails every task.")] = BreakerConfig()
    health: Annotated[HealthConfig, meta("When a replica is down, and when it is back.")] = HealthConfig()
    sampler_profiles: Annotated[dict[str, SamplerProfile], meta("Named sampling parameters.")] = {}
    default_profile: Annotated[str, text("Profile of requests that name none.", example="precise")] | None = None

    @property
    def policy(self) -> PoolPolicy:
        """How the adapter host deals with the replicas."""
        return policy_of(self.retry, self.breaker, self.health)

    def answers_to(self) -> Sequence[str]:
        """Every `model_ref` that selects this pool."""
        return (self.model_ref, *self.aliases, *(["default"] if self.default else []))


class ConfigFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Configuration of orchestratord."""

    pools: Annotated[tuple[PoolConfig, ...], msgspec.Meta(description="The pools that are served.", min_length=1)]
    server: Annotated[ServerConfig, meta("The HTTP listener.")] = ServerConfig()
    auth: Annotated[AuthConfig, meta("The one shared token.")] = AuthConfig()
    stream: Annotated[StreamConfig, meta("How frames reach a reader.")] = StreamConfig()
    history: Annotated[HistoryConfig, meta("Finished tasks that can still be asked about.")] = HistoryConfig()
    egress: Annotated[EgressConfig, meta("Where engines may be.")] = EgressConfig()
    log: Annotated[LogConfig, meta("The service's own log.")] = LogConfig()
