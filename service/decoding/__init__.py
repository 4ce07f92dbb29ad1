"""Decoding untrusted uploads in disposable, sandboxed worker processes."""
