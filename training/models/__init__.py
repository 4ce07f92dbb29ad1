"""Layers and models; no data, no optimisation, no files."""
