"""The adapter for `llama-server` of llama.cpp, through its native routes.

`mapping.py` and `reports.py` say what the bytes mean, `errors.py` what its refusals mean, `adapter.py` speaks.

Implements: OC-ADAPT-5001, OC-ADAPT-5010, OC-ADAPT-5011.
"""

from .adapter import LlamaCppFactory

factory = LlamaCppFactory()

__all__ = ["factory"]
