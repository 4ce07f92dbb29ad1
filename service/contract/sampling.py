"""Which frames of a video make a clip: pure integer functions, the same for evaluation and for the service.

Random sampling for training lives with the training data; decoding what is sampled lives in ``decode``.
"""

import numpy as np
from jaxtyping import Int


def sample_clips(
    num_frames: int, *, num_frames_per_clip: int, num_clips: int, start: int = 0, stop: int | None = None
) -> Int[np.ndarray, "clips T"]:
    """Choose frame indices from the half-open range [start, stop) of a video; ``stop`` is ``num_frames`` if None.

    One clip takes the centres of T equal segments: 20 frames and T = 4 give 2, 7, 12, 17. Several clips start at
    offsets spread over one segment, ``linspace(0, length / T - 1, clips)`` (the multi-view test of Wu et al. 2023,
    BIKE), and step by one segment: 20 frames, T = 4 and 2 clips give 0, 5, 10, 15 and 4, 9, 14, 19. Indices are clamped
    to the range and never wrap. In a range shorter than T, frames repeat in order: 2 frames and T = 4 give 0, 0, 1, 1.

    Raises:
        ValueError: a count is not positive, or the range is empty or outside the video.
    """
    stop = num_frames if stop is None else stop
    if num_frames_per_clip < 1 or num_clips < 1:
        raise ValueError(
            f"num_frames_per_clip is {num_frames_per_clip} and num_clips is {num_clips}; both must be at least 1"
        )
    if not 0 <= start < stop <= num_frames:
        raise ValueError(f"range [{start}, {stop}) must hold frames and lie inside a video of {num_frames} frames")
    length = stop - start
    if num_clips == 1:
        return start + _segment_centres(length, num_frames_per_clip)[None, :]
    return start + _spread_clips(length, num_frames_per_clip, num_clips)


def _segment_centres(length: int, num_segments: int) -> Int[np.ndarray, " T"]:
    """Compute floor((i + 1/2) * length / T) without floating point."""
    return (2 * np.arange(num_segments, dtype=np.int64) + 1) * length // (2 * num_segments)


def _spread_clips(length: int, num_segments: int, num_clips: int) -> Int[np.ndarray, "clips T"]:
    """Compute floor(start_j + i * length / T) over the common denominator T * (clips - 1), without floating point."""
    denominator = num_segments * (num_clips - 1)
    offsets = np.arange(num_clips, dtype=np.int64) * max(length - num_segments, 0)
    steps = np.arange(num_segments, dtype=np.int64) * length * (num_clips - 1)
    return np.minimum((offsets[:, None] + steps[None, :]) // denominator, length - 1)
