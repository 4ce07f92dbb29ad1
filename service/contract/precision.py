"""The arithmetic that graphs are run in, and which a service may choose for each."""

from typing import Literal

Precision = Literal["f32", "bf16"]
WantedPrecision = Literal["auto", "f32", "bf16"]

# Of the direction of a vector, which its size does not change.
MIN_COSINE_BF16 = 0.999

# Best first. Each text is encoded once and kept: exactness is worth more there than speed.
_VIDEO_PRECISIONS: tuple[Precision, ...] = ("bf16", "f32")
_TEXT_PRECISIONS: tuple[Precision, ...] = ("f32",)


def served_precisions(graph: str) -> tuple[Precision, ...]:
    """List the precisions that a service may choose for a graph of a bundle, the one it prefers first, f32 last."""
    return _VIDEO_PRECISIONS if graph == "video_encoder" else _TEXT_PRECISIONS
