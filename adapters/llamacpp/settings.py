"""What the llama.cpp adapter can be told: what every engine with an HTTP address can be.

Without a `model_digest`, the digest is that of the model file where it is on this machine; `api_key` is the server's
`--api-key`, and the path of `url` its `--api-prefix`.

Implements: HTU-1001, HTU-1005.
"""

from __future__ import annotations

from http_util.settings import EngineSettings


class LlamaCppSettings(EngineSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of one llama.cpp server."""
