"""Typed, frozen settings of models, towers and fits; free of torch."""
