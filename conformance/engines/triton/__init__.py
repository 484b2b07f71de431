"""A stand-in for NVIDIA's Triton inference server: the generate extension, KServe v2 over HTTP, and gRPC.

`repository` and `models` are the server behind both protocols, `generation` and `speaker` what a text model does,
`http_service` and `grpc_service` how it is asked. `protobuf` holds messages of its own: nothing here is shared with
the adapter, so that the two can only agree by keeping to the protocol.
"""

from .double import TritonDouble, open_triton
from .settings import TritonSettings

__all__ = ["TritonDouble", "TritonSettings", "open_triton"]
