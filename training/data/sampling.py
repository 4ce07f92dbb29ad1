"""Random frame sampling for training; the fixed sampling of evaluation and service is ``service.contract.sampling``."""

import numpy as np
from jaxtyping import Int64


def sample_random_clip(
    num_frames: int, *, num_frames_per_clip: int, generator: np.random.Generator
) -> Int64[np.ndarray, " T"]:
    """Draw one frame of each of T segments (Wang et al. 2016, TSN).

    With ``s = (num_frames - 1) / T``, frame i is drawn from ``round(s i)`` to ``round(s (i + 1))``, both included, so
    the indices never fall. In a video shorter than T frames repeat in order.

    Raises:
        ValueError: a count is not positive.
    """
    if num_frames < 1 or num_frames_per_clip < 1:
        raise ValueError(
            f"num_frames is {num_frames} and num_frames_per_clip is {num_frames_per_clip}; both must be at least 1"
        )
    edges = np.rint(np.arange(num_frames_per_clip + 1) * ((num_frames - 1) / num_frames_per_clip)).astype(np.int64)
    return generator.integers(edges[:-1], edges[1:], endpoint=True)
