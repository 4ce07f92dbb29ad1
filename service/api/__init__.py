"""HTTP and nothing else: forms in, problem documents and JSON out."""
