"""The Triton adapter: codecs, mapping, gRPC transport, and streams from its double."""
