"""The double of a vLLM server (`vllm serve`)."""

from .double import VllmDouble, VllmSettings, open_vllm

__all__ = ["VllmDouble", "VllmSettings", "open_vllm"]
