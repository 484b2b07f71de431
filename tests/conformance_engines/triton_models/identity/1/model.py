"""What it is given, for the recording of a real server."""

import triton_python_backend_utils as pb  # type: ignore[import-not-found]  # the server brings it


class TritonPythonModel:
    def execute(self, requests):  # type: ignore[no-untyped-def]  # the types are the server's
        return [pb.InferenceResponse(list(_outputs(request))) for request in requests]


def _outputs(request):  # type: ignore[no-untyped-def]
    for name in ("TEXT", "NUMBERS"):
        tensor = pb.get_input_tensor_by_name(request, name)
        if tensor is not None:
            yield pb.Tensor(f"{name}_OUT", tensor.as_numpy())
