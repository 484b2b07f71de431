"""The adapter for `llama-server` of llama.cpp, through its native routes.

`mapping.py` and `reports.py` say what the bytes mean and `errors.py` what refusals mean, all pure; `adapter.py` and
`probes.py` make the calls, `server.py` remembers the process behind them.

Implements: OC-ADAPT-5001, OC-ADAPT-5010, OC-ADAPT-5011.
"""

from .factory import LlamaCppFactory

factory = LlamaCppFactory()

__all__ = ["factory"]
