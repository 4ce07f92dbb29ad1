import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.sampling import sample_clips


@pytest.mark.parametrize(
    ("num_frames", "num_frames_per_clip", "expected"),
    [
        (20, 4, [2, 7, 12, 17]),
        (8, 8, [0, 1, 2, 3, 4, 5, 6, 7]),
        (10, 4, [1, 3, 6, 8]),
        (300, 8, [18, 56, 93, 131, 168, 206, 243, 281]),
        (2, 4, [0, 0, 1, 1]),
        (3, 8, [0, 0, 0, 1, 1, 2, 2, 2]),
        (1, 3, [0, 0, 0]),
    ],
)
def test_one_clip_takes_the_segment_centres(num_frames: int, num_frames_per_clip: int, expected: list[int]) -> None:
    clips = sample_clips(num_frames, num_frames_per_clip=num_frames_per_clip, num_clips=1)
    assert clips.tolist() == [expected]


@pytest.mark.parametrize(
    ("num_frames", "num_clips", "expected"),
    [
        (20, 2, [[0, 5, 10, 15], [4, 9, 14, 19]]),
        (40, 4, [[0, 10, 20, 30], [3, 13, 23, 33], [6, 16, 26, 36], [9, 19, 29, 39]]),
        (4, 3, [[0, 1, 2, 3]] * 3),
        (2, 2, [[0, 0, 1, 1]] * 2),
        (1, 4, [[0, 0, 0, 0]] * 4),
    ],
)
def test_several_clips_start_spread_over_one_segment(
    num_frames: int, num_clips: int, expected: list[list[int]]
) -> None:
    assert sample_clips(num_frames, num_frames_per_clip=4, num_clips=num_clips).tolist() == expected


def test_a_range_shifts_the_clip() -> None:
    clips = sample_clips(100, num_frames_per_clip=4, num_clips=1, start=50, stop=70)
    assert clips.tolist() == [[52, 57, 62, 67]]


@given(st.integers(1, 5000), st.integers(1, 64), st.integers(1, 10))
def test_indices_are_ordered_and_inside_the_video(num_frames: int, num_frames_per_clip: int, num_clips: int) -> None:
    clips = sample_clips(num_frames, num_frames_per_clip=num_frames_per_clip, num_clips=num_clips)
    assert clips.shape == (num_clips, num_frames_per_clip)
    assert clips.min() >= 0
    assert clips.max() < num_frames
    assert (np.diff(clips, axis=1) >= 0).all()


@pytest.mark.parametrize(("num_frames_per_clip", "num_clips"), [(0, 1), (8, 0)])
def test_a_count_below_one_is_refused(num_frames_per_clip: int, num_clips: int) -> None:
    message = f"num_frames_per_clip is {num_frames_per_clip} and num_clips is {num_clips}; both must be at least 1"
    with pytest.raises(ValueError, match=message):
        sample_clips(10, num_frames_per_clip=num_frames_per_clip, num_clips=num_clips)


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (5, 5), (-1, 3), (0, 11)])
def test_a_range_without_frames_or_outside_the_video_is_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match=rf"range \[{start}, {stop}\) must hold frames .* video of 10 frames"):
        sample_clips(10, num_frames_per_clip=4, num_clips=1, start=start, stop=stop)
