"""The double of OpenAI's HTTP API and of the servers that took over its interface."""

from .double import OpenAiDouble, open_openai
from .settings import OpenAiSettings, Quirks

__all__ = ["OpenAiDouble", "OpenAiSettings", "Quirks", "open_openai"]
