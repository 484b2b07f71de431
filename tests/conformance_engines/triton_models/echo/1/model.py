"""Words, one a response, for the recording of a real server; `fail_at` is the response that is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import triton_python_backend_utils as pb  # type: ignore[import-not-found]  # the server brings it

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sender(Protocol):
    def send(self, response: object = None, flags: int = 0) -> None: ...


class Request(Protocol):
    def get_response_sender(self) -> Sender: ...


class TritonPythonModel:
    def execute(self, requests: Sequence[Request]) -> None:
        for request in requests:
            count, fail_at = (_number(request, name, default) for name, default in (("max_tokens", 1), ("fail_at", -1)))
            sender = request.get_response_sender()
            for number in range(count):
                if number == fail_at:
                    sender.send(pb.InferenceResponse(error=pb.TritonError("the model broke")))
                    break
                text = pb.Tensor("text_output", np.array([f" word{number}".encode()], dtype=np.object_))
                sender.send(pb.InferenceResponse([text]))
            sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _number(request: Request, name: str, default: int) -> int:
    tensor = pb.get_input_tensor_by_name(request, name)
    return default if tensor is None else int(tensor.as_numpy()[0])
