"""The Triton adapter on a real `tritonserver`; run by `make test-triton` and not part of `make test`."""
