from fractions import Fraction
from math import floor
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.sampling import LOCAL_FRAME_COUNTS, SamplingRule, local_windows, sample_clips


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


@pytest.mark.parametrize(
    ("rule", "num_frames", "num_clips", "expected"),
    [
        ("segment_starts", 20, 1, [[0, 5, 10, 15]]),
        ("segment_starts", 10, 1, [[0, 2, 5, 7]]),
        ("segment_starts", 20, 2, [[0, 5, 10, 15], [4, 9, 14, 19]]),
        ("segment_starts", 2, 1, [[0, 0, 1, 1]]),
        ("rounded_segments", 20, 1, [[2, 7, 12, 16]]),
        ("rounded_segments", 11, 1, [[1, 3, 6, 9]]),
        ("rounded_segments", 20, 2, [[1, 6, 11, 15], [3, 8, 13, 17]]),
        ("rounded_segments", 3, 2, [[0, 0, 1, 2], [0, 0, 1, 2]]),
        ("rounded_segments", 1, 1, [[0, 0, 0, 0]]),
    ],
)
def test_other_rules_take_other_frames_of_a_segment(
    rule: SamplingRule, num_frames: int, num_clips: int, expected: list[list[int]]
) -> None:
    clips = sample_clips(num_frames, num_frames_per_clip=4, num_clips=num_clips, rule=rule)
    assert clips.tolist() == expected


@given(st.integers(1, 2000), st.integers(1, 32), st.integers(1, 10))
def test_rounded_segments_follow_their_formula(num_frames: int, num_segments: int, num_clips: int) -> None:
    clips = sample_clips(num_frames, num_frames_per_clip=num_segments, num_clips=num_clips, rule="rounded_segments")
    segment = Fraction(num_frames - 1, num_segments)
    expected = [
        [round(segment * i) + floor(segment * (j + 1) / (num_clips + 1)) for i in range(num_segments)]
        for j in range(num_clips)
    ]
    assert clips.tolist() == expected


def test_a_range_shifts_the_clip() -> None:
    clips = sample_clips(100, num_frames_per_clip=4, num_clips=1, start=50, stop=70)
    assert clips.tolist() == [[52, 57, 62, 67]]


RULES = st.sampled_from(get_args(SamplingRule))


@given(st.integers(1, 5000), st.integers(1, 64), st.integers(1, 10), RULES)
def test_indices_are_ordered_and_inside_the_video(
    num_frames: int, num_frames_per_clip: int, num_clips: int, rule: SamplingRule
) -> None:
    clips = sample_clips(num_frames, num_frames_per_clip=num_frames_per_clip, num_clips=num_clips, rule=rule)
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


@pytest.mark.parametrize(
    ("num_frames", "centres", "num_local_frames", "expected"),
    [
        (20, [2, 7], 1, [[2], [7]]),
        (20, [2, 7], 3, [[1, 2, 3], [6, 7, 8]]),
        (20, [0, 1, 19], 5, [[0, 0, 0, 1, 2], [0, 0, 1, 2, 3], [17, 18, 19, 19, 19]]),
        (2, [0, 1], 5, [[0, 0, 0, 1, 1], [0, 0, 1, 1, 1]]),
        (1, [0, 0], 3, [[0, 0, 0], [0, 0, 0]]),
    ],
)
def test_windows_lie_around_their_centres_and_repeat_the_ends(
    num_frames: int, centres: list[int], num_local_frames: int, expected: list[list[int]]
) -> None:
    windows = local_windows(np.array(centres), num_frames=num_frames, num_local_frames=num_local_frames)
    assert windows.tolist() == expected


@given(st.integers(1, 500), st.integers(1, 16), st.integers(1, 4), RULES, st.sampled_from(LOCAL_FRAME_COUNTS))
def test_windows_never_leave_the_video_nor_go_back(
    num_frames: int, num_segments: int, num_clips: int, rule: SamplingRule, num_local_frames: int
) -> None:
    centres = sample_clips(num_frames, num_frames_per_clip=num_segments, num_clips=num_clips, rule=rule)
    windows = local_windows(centres, num_frames=num_frames, num_local_frames=num_local_frames)
    reach = num_local_frames // 2
    assert windows.shape == (num_clips, num_segments, num_local_frames)
    assert (windows[..., reach] == centres).all()
    assert ((windows >= 0) & (windows < num_frames)).all()
    steps = np.diff(windows, axis=-1)
    assert ((steps == 0) | (steps == 1)).all()
    whole = (centres >= reach) & (centres < num_frames - reach)
    assert (steps[whole] == 1).all()


@pytest.mark.parametrize("num_local_frames", [0, 2, 7])
def test_a_window_without_a_middle_or_too_long_is_refused(num_local_frames: int) -> None:
    with pytest.raises(ValueError, match=rf"num_local_frames is {num_local_frames}; allowed are \(1, 3, 5\)"):
        local_windows(np.array([3]), num_frames=10, num_local_frames=num_local_frames)


def test_a_centre_outside_the_video_is_refused() -> None:
    with pytest.raises(ValueError, match=r"centres \[-1, 10\] lie outside a video of 10 frames"):
        local_windows(np.array([-1, 0, 10]), num_frames=10, num_local_frames=3)
