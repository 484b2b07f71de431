"""The adapter for NVIDIA's Triton Inference Server.

Three ways lead to a model: the generate extension, KServe v2 infer, and gRPC `ModelStreamInfer`. What a model is asked
(`dialects.py`), what its answers mean (`responses.py`, `reading.py`, `texts.py`), what the server tells (`reports.py`)
and what its refusals mean (`errors.py`) are pure; `adapter.py`, `one_piece.py` and `probes.py` make the calls. gRPC is
built from `grpc_call.py`, which knows no I/O, up to `grpc_transport.py`.

Implements: OC-ADAPT-5060, OC-ADAPT-5070.
"""

from .factory import TritonFactory

factory = TritonFactory()

__all__ = ["factory"]
