"""Frames from the cache and from the videos are the same, numbered as asked; limits and bad videos are named."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.tiny import PREPROCESSING
from tests.videos import read_number, write_numbered_video
from training.data.annotations import VideoData
from training.data.frames import FramesOnDemand, FrameSource, StoredFrames, store_frames
from training.errors import DataError


def store(
    videos: list[Path], directory: Path, *, max_frames: int = 64, limit_bytes: int = 1 << 20, keep_whole: bool = False
) -> StoredFrames:
    return store_frames(
        videos,
        directory=directory,
        preprocessing=PREPROCESSING,
        max_frames=max_frames,
        limit_bytes=limit_bytes,
        num_workers=1,
        keep_whole=keep_whole,
    )


def numbers(source: FrameSource, index: int, chosen: list[int]) -> list[int]:
    return [read_number(frame) for frame in source.read(index, select=lambda _: np.array(chosen))]


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    return [write_numbered_video(tmp_path / f"{num}.mp4", num_frames=num) for num in (3, 12)]


def test_stored_and_decoded_frames_are_those_asked_for(videos: list[Path], tmp_path: Path) -> None:
    stored, decoded = store(videos, tmp_path / "cache"), FramesOnDemand(tuple(videos), PREPROCESSING)
    assert len(stored) == len(decoded) == 2
    for source in (stored, decoded):
        assert numbers(source, 0, [2, 0]) == [2, 0]
        assert numbers(source, 1, [11, 5, 5]) == [11, 5, 5]


def test_whole_pictures_are_resized_and_not_cropped(data: VideoData) -> None:
    source = FramesOnDemand((data.path_of(data.annotations[0]),), PREPROCESSING)
    assert source.read(0, select=lambda num_frames: np.arange(num_frames)).shape == (6, 32, 48, 3)


def test_long_videos_keep_evenly_spread_frames(videos: list[Path], tmp_path: Path) -> None:
    stored = store(videos, tmp_path / "cache", max_frames=4)
    assert stored.shapes.tolist() == [[3, 32, 32], [4, 32, 32]]
    assert numbers(stored, 1, [0, 1, 2, 3]) == [1, 4, 7, 10]


def test_long_videos_cannot_be_kept_whole(videos: list[Path], tmp_path: Path) -> None:
    store(videos, tmp_path / "cache", max_frames=4)
    message = (
        r"12\.mp4 has 12 frames and max_cached_frames is 4; windows of consecutive frames need whole videos: raise"
    )
    with pytest.raises(DataError, match=message):
        store(videos, tmp_path / "cache", max_frames=4, keep_whole=True)
    whole = store(videos, tmp_path / "cache", max_frames=12, keep_whole=True)
    assert whole.shapes.tolist() == [[3, 32, 32], [12, 32, 32]]


def test_cache_is_written_once(videos: list[Path], tmp_path: Path) -> None:
    store(videos, tmp_path / "cache")
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    store(videos, tmp_path / "cache")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == written
    assert len(written) == 2


def test_frames_beyond_the_limit_are_refused(videos: list[Path], tmp_path: Path) -> None:
    message = r"first 2 videos take 46080 bytes; frame_cache_bytes is 40000: raise it, lower max_cached_frames"
    with pytest.raises(DataError, match=message):
        store(videos, tmp_path / "cache", limit_bytes=40_000)
    assert list((tmp_path / "cache").iterdir()) == []


def test_bad_videos_are_all_named(videos: list[Path], tmp_path: Path) -> None:
    bad = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    for path in bad:
        path.write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"2 videos do not decode: .*a\.mp4: .*; .*b\.mp4: "):
        store([*videos, *bad], tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_bad_video_is_named_when_decoded_anew(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"a\.mp4: "):
        FramesOnDemand((tmp_path / "a.mp4",), PREPROCESSING).read(0, select=lambda _: np.array([0]))
