"""The adapter for NVIDIA's Triton Inference Server.

Three ways lead to a model: the generate extension, KServe v2 infer, and gRPC `ModelStreamInfer`.
"""
