"""Which frames of a video make a clip: pure integer functions, the same for evaluation and for the service.

Random sampling for training lives with the training data; decoding what is sampled lives in ``decode``.
"""

from typing import Final, Literal

import numpy as np
from jaxtyping import Int

SamplingRule = Literal["segment_centres", "segment_starts", "rounded_segments"]
# Frames of one window: with an odd number there is one in the middle.
NumLocalFrames = Literal[1, 3, 5]
LOCAL_FRAME_COUNTS: Final = (1, 3, 5)


def sample_clips(
    num_frames: int,
    *,
    num_frames_per_clip: int,
    num_clips: int,
    rule: SamplingRule = "segment_centres",
    start: int = 0,
    stop: int | None = None,
) -> Int[np.ndarray, "clips T"]:
    """Choose frame indices from the half-open range [start, stop) of a video; ``stop`` is ``num_frames`` if None.

    Indices are clamped to the range and never wrap. In a range shorter than T, frames repeat in order: with
    ``segment_centres``, 2 frames and T = 4 give 0, 0, 1, 1. The rules, for 20 frames and T = 4:

    - ``segment_centres``: one clip takes the centres of T equal segments, 2, 7, 12, 17. Several clips start at offsets
      spread over one segment, ``linspace(0, length / T - 1, clips)`` (the multi-view test of Wu et al. 2023, BIKE), and
      step by one segment: 2 clips give 0, 5, 10, 15 and 4, 9, 14, 19.
    - ``segment_starts``: one clip takes ``floor(length / T i)``, 0, 5, 10, 15; several clips as above (TDS-CLIP on
      Kinetics-400).
    - ``rounded_segments``: with segments of ``s = (length - 1) / T``, clip j of C takes
      ``round(s i) + floor(s (j + 1) / (C + 1))``, halves rounded to even: one clip 2, 7, 12, 16, two clips 1, 6, 11, 15
      and 3, 8, 13, 17 (TDS-CLIP on Something-Something).

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
    if rule == "rounded_segments":
        return start + _rounded_segments(length, num_frames_per_clip, num_clips)
    if rule == "segment_centres" and num_clips == 1:
        return start + _segment_centres(length, num_frames_per_clip)[None, :]
    return start + _spread_clips(length, num_frames_per_clip, num_clips)


def local_windows(
    centres: Int[np.ndarray, "*axes"], *, num_frames: int, num_local_frames: int
) -> Int[np.ndarray, "*axes n"]:
    """Lay a window of n consecutive frames around every centre; index ``n // 2`` of the last axis is the centre.

    Windows are clamped at both ends of the video, where its first or last frame repeats: in 20 frames with n = 5,
    centre 1 gives 0, 0, 1, 2, 3 and centre 19 gives 17, 18, 19, 19, 19. So a repeated frame shows no motion, while an
    index that wrapped to the other end would show a false one. A video with fewer frames than a window is clamped
    alike; one of a single frame stands still.

    Raises:
        ValueError: the window is not of 1, 3 or 5 frames, or a centre lies outside the video.
    """
    if num_local_frames not in LOCAL_FRAME_COUNTS:
        raise ValueError(f"num_local_frames is {num_local_frames}; allowed are {LOCAL_FRAME_COUNTS}")
    if outside := centres[(centres < 0) | (centres >= num_frames)].tolist():
        raise ValueError(f"centres {outside} lie outside a video of {num_frames} frames")
    offsets = np.arange(num_local_frames) - num_local_frames // 2
    return np.clip(centres[..., None] + offsets, 0, num_frames - 1)


def _segment_centres(length: int, num_segments: int) -> Int[np.ndarray, " T"]:
    """Compute floor((i + 1/2) * length / T) without floating point."""
    return (2 * np.arange(num_segments, dtype=np.int64) + 1) * length // (2 * num_segments)


def _rounded_segments(length: int, num_segments: int, num_clips: int) -> Int[np.ndarray, "clips T"]:
    """Compute round(s i) + floor(s (j + 1) / (C + 1)) with s = (length - 1) / T, without floating point."""
    quotients, remainders = np.divmod(np.arange(num_segments, dtype=np.int64) * (length - 1), num_segments)
    doubled = 2 * remainders
    edges = quotients + ((doubled > num_segments) | ((doubled == num_segments) & (quotients % 2 == 1)))
    offsets = (np.arange(num_clips, dtype=np.int64) + 1) * (length - 1) // (num_segments * (num_clips + 1))
    return edges[None, :] + offsets[:, None]


def _spread_clips(length: int, num_segments: int, num_clips: int) -> Int[np.ndarray, "clips T"]:
    """Compute floor(start_j + i * length / T) over the common denominator T * (clips - 1), without floating point.

    A single clip starts at 0.
    """
    intervals = max(num_clips - 1, 1)
    denominator = num_segments * intervals
    offsets = np.arange(num_clips, dtype=np.int64) * max(length - num_segments, 0)
    steps = np.arange(num_segments, dtype=np.int64) * length * intervals
    return np.minimum((offsets[:, None] + steps[None, :]) // denominator, length - 1)
