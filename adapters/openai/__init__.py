"""The adapter for OpenAI and for every server that took over its interface.

The wire itself is read in `http_util.openai_api`; here is what one such server can be told (`settings.py`), what its
refusals mean (`errors.py`), what it is asked about itself (`server.py`) and which call is made when (`adapter.py`).

Implements: OC-ADAPT-OAI-6000.
"""

from .factory import OpenAIFactory

factory = OpenAIFactory()

__all__ = ["factory"]
