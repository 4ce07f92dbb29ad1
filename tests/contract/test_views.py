import re
from pathlib import Path

import numpy as np
import pytest

from service.contract.decode import decode_frames
from service.contract.errors import ImpossibleRequestError, UndecodableVideoError
from service.contract.manifest import Preprocessing, Sampling
from service.contract.sampling import NumLocalFrames, local_windows, sample_clips
from service.contract.views import VideoViews, ViewPlan, read_views
from tests.videos import PREPROCESSING, Encoding, cut, read_number, write_numbered_video


def read(
    path: Path,
    *,
    plan: str = "1x1",
    num_frames: int = 4,
    num_local_frames: NumLocalFrames = 1,
    preprocessing: Preprocessing = PREPROCESSING,
) -> VideoViews:
    sampling = Sampling(rule="segment_centres", num_frames=num_frames, num_local_frames=num_local_frames)
    return read_views(path, preprocessing=preprocessing, sampling=sampling, plan=ViewPlan.parse(plan))


def test_a_view_shows_the_segment_centres(tmp_path: Path) -> None:
    views = read(write_numbered_video(tmp_path / "clip.mp4", num_frames=20))
    assert views.views.shape == (1, 4, 64, 64, 3)
    assert [read_number(frame) for frame in views.views[0]] == [2, 7, 12, 17]
    assert views.indices.tolist() == [[2, 7, 12, 17]]
    assert views.time_seconds[0].tolist() == pytest.approx([0.08, 0.28, 0.48, 0.68])


def test_views_go_clip_by_clip_and_crop_by_crop(tmp_path: Path) -> None:
    views = read(write_numbered_video(tmp_path / "clip.mp4", num_frames=20), plan="2x3")
    assert views.views.shape == (6, 4, 64, 64, 3)
    numbers = [[read_number(frame) for frame in view] for view in views.views]
    assert numbers == [[0, 5, 10, 15]] * 3 + [[4, 9, 14, 19]] * 3
    assert views.indices.tolist() == [[0, 5, 10, 15], [4, 9, 14, 19]]


def test_three_crops_show_the_left_the_centre_and_the_right(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=4, encoding=Encoding(size=(192, 64)))
    preprocessing = PREPROCESSING.model_copy(update={"resize_rule": "short_side", "resize_size": 64})
    left, _, right = read(path, plan="1x3", preprocessing=preprocessing).views[:, 0]
    assert (left[4, 4] > 127).tolist() == [True, False, False]
    assert (right[4, -4] > 127).tolist() == [False, True, False]


def test_a_view_of_windows_shows_the_frames_around_its_centres(tmp_path: Path) -> None:
    views = read(write_numbered_video(tmp_path / "clip.mp4", num_frames=8), plan="2x3", num_local_frames=5)
    assert views.views.shape == (6, 4, 5, 64, 64, 3)
    numbers = [[[read_number(frame) for frame in window] for window in view] for view in views.views]
    first = [[0, 0, 0, 1, 2], [0, 1, 2, 3, 4], [2, 3, 4, 5, 6], [4, 5, 6, 7, 7]]
    second = [[0, 0, 1, 2, 3], [1, 2, 3, 4, 5], [3, 4, 5, 6, 7], [5, 6, 7, 7, 7]]
    assert numbers == [first] * 3 + [second] * 3
    assert views.indices.tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert views.time_seconds.ravel().tolist() == pytest.approx([0, 0.08, 0.16, 0.24, 0.04, 0.12, 0.2, 0.28])


def test_a_frame_of_several_windows_is_decoded_once(tmp_path: Path) -> None:
    seen: list[int] = []

    def transform(frame: np.ndarray) -> np.ndarray:
        seen.append(read_number(frame))
        return frame

    centres = sample_clips(16, num_frames_per_clip=8, num_clips=1)
    windows = local_windows(centres, num_frames=16, num_local_frames=5)
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=16)
    decoded = decode_frames(path, select=lambda _: windows.ravel(), transform=transform)
    assert (len(decoded.frames), sorted(seen)) == (40, list(range(16)))


def test_a_video_shorter_than_a_window_stands_still_at_its_ends(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.mp4", num_frames=1)
    views = read(path, num_frames=2, num_local_frames=3).views
    assert [[read_number(frame) for frame in window] for window in views[0]] == [[0, 0, 0], [0, 0, 0]]


def test_a_short_video_repeats_its_frames(tmp_path: Path) -> None:
    views = read(write_numbered_video(tmp_path / "clip.mp4", num_frames=2))
    assert [read_number(frame) for frame in views.views[0]] == [0, 0, 1, 1]
    assert views.degraded is None


def test_a_damaged_video_with_enough_frames_is_read(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.avi", num_frames=60, encoding=Encoding("mpeg4"))
    views = read(cut(path, fraction=0.6))
    assert [read_number(frame) for frame in views.views[0]] == views.indices[0].tolist()
    # Whether the cut falls between frames or into one hangs on the encoder.
    assert views.degraded is not None
    assert re.match(r"the file is (cut off: \d+ of 60 frames|damaged or cut off after \d+ frames)", views.degraded)


def test_a_damaged_video_with_fewer_frames_than_a_clip_is_refused(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.avi", num_frames=60, encoding=Encoding("mpeg4"))
    reason = r"only \d+ frames can be used, 32 are needed: the file is (cut|damaged or cut) off"
    with pytest.raises(UndecodableVideoError, match=reason):
        read(cut(path, fraction=0.5), num_frames=32)


def test_a_damaged_video_with_fewer_frames_than_a_window_is_refused(tmp_path: Path) -> None:
    path = write_numbered_video(tmp_path / "clip.avi", num_frames=8, encoding=Encoding("mpeg4"))
    with pytest.raises(UndecodableVideoError, match=r"only [1-4] frames can be used, 5 are needed: the file is"):
        read(cut(path, fraction=0.9), num_frames=1, num_local_frames=5)


@pytest.mark.parametrize(("text", "expected"), [("1x1", (1, 1)), ("4x3", (4, 3)), ("10x1", (10, 1))])
def test_a_plan_is_written_as_clips_by_crops(text: str, expected: tuple[int, int]) -> None:
    plan = ViewPlan.parse(text)
    assert (plan.num_clips, plan.num_crops) == expected
    assert plan.num_views == np.prod(expected)
    assert str(plan) == text


@pytest.mark.parametrize("text", ["", "4", "4x", "x3", "4x3x2", "-1x1", " 4x3", "4X3", "1e3x1", "1" * 99, "٤x٣"])
def test_another_text_is_no_plan(text: str) -> None:
    with pytest.raises(ImpossibleRequestError, match=f"views is {text[:32]!r}; write clips x crops, like 1x1 or 4x3"):
        ViewPlan.parse(text)


@pytest.mark.parametrize("text", ["0x1", "11x1", "1x2", "4x0"])
def test_a_plan_beyond_the_allowed_numbers_is_refused(text: str) -> None:
    with pytest.raises(ImpossibleRequestError, match=f"views is {text}; allowed are 1 to 10 clips and 1 or 3 crops"):
        ViewPlan.parse(text)
