"""Random sampling draws one frame of each segment."""

import numpy as np
import pytest

from training.data.sampling import sample_random_clip


def draw_many(num_frames: int, *, num_frames_per_clip: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    return np.stack(
        [sample_random_clip(num_frames, num_frames_per_clip=num_frames_per_clip, generator=generator)
         for _ in range(500)]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("num_frames", "ranges"),
    [
        (20, [(0, 5), (5, 10), (10, 14), (14, 19)]),
        (9, [(0, 2), (2, 4), (4, 6), (6, 8)]),
        (3, [(0, 0), (0, 1), (1, 2), (2, 2)]),
        (1, [(0, 0), (0, 0), (0, 0), (0, 0)]),
    ],
)
def test_every_frame_of_a_segment_is_drawn(num_frames: int, ranges: list[tuple[int, int]]) -> None:
    clips = draw_many(num_frames, num_frames_per_clip=4)
    drawn = [sorted(set(column.tolist())) for column in clips.T]
    assert drawn == [list(range(low, high + 1)) for low, high in ranges]


def test_frames_never_go_back() -> None:
    assert (np.diff(draw_many(13, num_frames_per_clip=8), axis=1) >= 0).all()


@pytest.mark.parametrize(("num_frames", "num_frames_per_clip"), [(0, 4), (4, 0)])
def test_empty_counts_are_refused(num_frames: int, num_frames_per_clip: int) -> None:
    message = f"num_frames is {num_frames} and num_frames_per_clip is {num_frames_per_clip}"
    with pytest.raises(ValueError, match=message):
        sample_random_clip(num_frames, num_frames_per_clip=num_frames_per_clip, generator=np.random.default_rng(0))
