"""The configuration of the service: one TOML file, the environment for secrets and overrides, all checked at load."""

from .bind import Address
from .egress import policy as egress_policy
from .example import example_text
from .load import Auth, Config, config_from, load_config
from .model import (
    EgressConfig,
    HistoryConfig,
    LogConfig,
    PoolConfig,
    QueueConfig,
    ReplicaConfig,
    SamplerProfile,
    ServerConfig,
    StreamConfig,
)
from .problems import NON_LOOPBACK_WITHOUT_TOKEN, ConfigError, Problem
from .replicas import BreakerConfig, HealthConfig, RetryConfig, TimeoutsConfig
from .schema import file_schema, full_schema_text, schema_text

__all__ = [
    "NON_LOOPBACK_WITHOUT_TOKEN",
    "Address",
    "Auth",
    "BreakerConfig",
    "Config",
    "ConfigError",
    "EgressConfig",
    "HealthConfig",
    "HistoryConfig",
    "LogConfig",
    "PoolConfig",
    "Problem",
    "QueueConfig",
    "ReplicaConfig",
    "RetryConfig",
    "SamplerProfile",
    "ServerConfig",
    "StreamConfig",
    "TimeoutsConfig",
    "config_from",
    "egress_policy",
    "example_text",
    "file_schema",
    "full_schema_text",
    "load_config",
    "schema_text",
]
