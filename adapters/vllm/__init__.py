"""The adapter for the OpenAI-compatible server of vLLM.

The wire itself is read in `http_util.openai_api`; here is what vLLM adds to it (`mapping.py`), what its refusals mean
(`errors.py`), what it is asked about itself (`server.py`) and which call is made when (`adapter.py`).

Implements: OC-ADAPT-5020, OC-ADAPT-5030.
"""

from .factory import VllmFactory

factory = VllmFactory()

__all__ = ["factory"]
