"""The engine of a Triton server, asked by gRPC."""
