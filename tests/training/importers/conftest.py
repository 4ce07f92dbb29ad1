"""Architectures that are small enough for tests."""

from tests.training.importers.public import tiny_architectures

__all__ = ["tiny_architectures"]
