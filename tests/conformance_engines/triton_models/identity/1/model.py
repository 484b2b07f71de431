"""What it is given, for the recording of a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton_python_backend_utils as pb  # type: ignore[import-not-found]  # the server brings it

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class TritonPythonModel:
    def execute(self, requests: Sequence[object]) -> list[object]:
        return [pb.InferenceResponse(list(_outputs(request))) for request in requests]


def _outputs(request: object) -> Iterator[object]:
    for name in ("TEXT", "NUMBERS"):
        tensor = pb.get_input_tensor_by_name(request, name)
        if tensor is not None:
            yield pb.Tensor(f"{name}_OUT", tensor.as_numpy())
