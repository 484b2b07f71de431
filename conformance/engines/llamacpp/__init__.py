"""The double of a llama.cpp server (`llama-server`)."""

from .double import LlamaCppDouble, LlamaSettings, open_llamacpp
from .replies import Model

__all__ = ["LlamaCppDouble", "LlamaSettings", "Model", "open_llamacpp"]
