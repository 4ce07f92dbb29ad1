"""Views of evaluation against the multi-view test of Wu et al. 2023 (BIKE), written out."""

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest

from service.contract.manifest import Sampling
from service.contract.sampling import sample_clips
from service.contract.views import ViewPlan
from tests.training.tiny import PREPROCESSING
from tests.videos import read_number, write_numbered_video
from training.data.views import read_all_views
from training.errors import DataError

SAMPLING = Sampling(rule="segment_centres", num_frames=4)


@pytest.mark.parametrize(("num_frames", "clip_length"), [*product((16, 17, 40, 97, 250, 1001), (4, 8, 16))])
def test_four_clips_start_spread_over_one_segment(num_frames: int, clip_length: int) -> None:
    segment = num_frames / clip_length
    starts = np.linspace(0, segment - 1, 4)
    # The small number keeps whole frames whole in floating point.
    expected = [[int(start + segment * index + 1e-9) % num_frames for index in range(clip_length)] for start in starts]
    assert sample_clips(num_frames, num_frames_per_clip=clip_length, num_clips=4).tolist() == expected


def test_clips_of_a_video_shorter_than_a_clip_do_not_wrap() -> None:
    clips = sample_clips(3, num_frames_per_clip=8, num_clips=4)
    assert all(earlier <= later for clip in clips for earlier, later in pairwise(clip))


def test_views_of_videos_come_in_order_clip_by_clip(tmp_path: Path) -> None:
    videos = [write_numbered_video(tmp_path / f"{length}.mp4", num_frames=length) for length in (40, 20)]
    preprocessing = PREPROCESSING.model_copy(update={"input_size": 64, "resize_size": 64})
    plan = ViewPlan(4, 3)
    first, second = read_all_views(videos, preprocessing=preprocessing, sampling=SAMPLING, plan=plan, num_workers=1)
    assert first.shape == (12, 4, 64, 64, 3)
    assert [read_number(frame) for frame in second[4]] == [1, 6, 11, 16]
    clips = [[0, 10, 20, 30], [3, 13, 23, 33], [6, 16, 26, 36], [9, 19, 29, 39]]
    assert [[read_number(frame) for frame in view] for view in first] == [clip for clip in clips for _ in range(3)]


def test_views_of_windows_have_their_axis(tmp_path: Path) -> None:
    video = write_numbered_video(tmp_path / "a.mp4", num_frames=20)
    sampling = Sampling(rule="rounded_segments", num_frames=4, num_local_frames=3)
    [views] = read_all_views(
        [video], preprocessing=PREPROCESSING, sampling=sampling, plan=ViewPlan(2, 1), num_workers=1
    )
    assert views.shape == (2, 4, 3, 32, 32, 3)


def test_all_videos_that_do_not_decode_are_named(tmp_path: Path) -> None:
    videos = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for video in videos:
        video.write_bytes(b"not a video")
    views = read_all_views(videos, preprocessing=PREPROCESSING, sampling=SAMPLING, plan=ViewPlan(), num_workers=1)
    with pytest.raises(DataError, match=r"2 videos do not decode: .*a\.mp4: .*; .*b\.mp4: .*; repair them or remove"):
        list(views)
