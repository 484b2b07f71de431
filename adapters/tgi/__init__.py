"""The adapter for Text Generation Inference (TGI), through its native routes.

`mapping.py`, `chat.py` and `reports.py` say what the bytes mean and `errors.py` what refusals mean, all pure;
`adapter.py` and `probes.py` make the calls.

Implements: OC-ADAPT-5040, OC-ADAPT-5050.
"""

from .factory import TgiFactory

factory = TgiFactory()

__all__ = ["factory"]
