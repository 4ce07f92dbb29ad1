"""Folders of pictures in place of video files: order, gaps, damaged pictures, and the same pixels as a video's."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.contract.errors import UndecodableVideoError
from service.contract.manifest import Sampling
from service.contract.views import ViewPlan
from tests.training.tiny import PREPROCESSING
from tests.videos import draw_number, read_number, write_numbered_video
from training.data.frame_folders import decode_video, digest_video, open_frame_folder, size_bytes
from training.data.frames import FramesOnDemand, store_frames
from training.data.views import read_all_views
from training.errors import DataError


def write_folder(directory: Path, *, numbers: range = range(12), name: str = "{:05d}.jpg") -> Path:
    directory.mkdir(exist_ok=True)
    for number in numbers:
        Image.fromarray(draw_number(number)).save(directory / name.format(number + 1), quality=95)
    return directory


def read_numbers(video: Path, *chosen: int) -> list[int]:
    decoded = decode_video(video, select=lambda _: np.array(chosen), transform=np.copy)
    return [read_number(frame) for frame in decoded.frames]


@pytest.mark.parametrize("name", ["{:05d}.jpg", "{}.jpg", "img_{:02d}.JPG", "frame{}.jpeg"])
def test_pictures_are_in_the_order_of_their_numbers(tmp_path: Path, name: str) -> None:
    folder = write_folder(tmp_path / "85", name=name)
    (folder / "Thumbs.db").touch()
    assert read_numbers(folder, 11, 0, 1, 1, 9) == [11, 0, 1, 1, 9]


def test_counting_may_start_anywhere(tmp_path: Path) -> None:
    assert len(open_frame_folder(write_folder(tmp_path / "85", numbers=range(7, 10))).names) == 3


def test_what_a_folder_turned_out_to_be_is_told(tmp_path: Path) -> None:
    decoded = decode_video(write_folder(tmp_path / "85"), select=lambda n: np.array([n - 1]), transform=np.copy)
    assert (decoded.info.num_frames, decoded.info.width, decoded.info.height) == (12, 96, 96)
    assert (decoded.time_seconds.tolist(), decoded.degraded) == ([11 / 12], None)


def test_pictures_and_videos_are_read_alike(tmp_path: Path) -> None:
    video = write_numbered_video(tmp_path / "a.mp4", num_frames=12)
    assert read_numbers(video, 3, 11) == read_numbers(write_folder(tmp_path / "85"), 3, 11) == [3, 11]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "the folder holds no JPEG picture; it must hold 00001.jpg"),
        (["cover.jpg"], r"cover.jpg has no number at its end; name pictures 00001.jpg"),
        (["1.jpg", "01.jpg"], "01.jpg and 1.jpg have the same number; remove one"),
        (["1.jpg", "2.jpg", "5.jpg"], "2 pictures between 1.jpg and 5.jpg are missing: 3, 4; restore them"),
    ],
)
def test_folders_that_are_no_video_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(UndecodableVideoError, match=message):
        open_frame_folder(tmp_path)


def test_damaged_picture_is_named_and_not_replaced(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "85")
    (folder / "00004.jpg").write_bytes((folder / "00004.jpg").read_bytes()[:400])
    assert read_numbers(folder, 2, 4) == [2, 4]
    with pytest.raises(
        UndecodableVideoError, match=r"00004.jpg does not decode \(.*[Tt]runcated.*\); restore the picture"
    ):
        read_numbers(folder, 3)


def test_training_frames_come_from_folders(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "85")
    decoded = FramesOnDemand((folder,), PREPROCESSING)
    stored = store_frames([folder], directory=tmp_path / "cache", preprocessing=PREPROCESSING, max_frames=64,
                          limit_bytes=1 << 20, num_workers=1)  # fmt: skip
    for source in (decoded, stored):
        frames = source.read(0, select=lambda _: np.array([10, 0]))
        assert [read_number(frame) for frame in frames] == [10, 0]


def test_folders_are_listed_once(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "85")
    source = FramesOnDemand((folder,), PREPROCESSING)
    read = [read_number(source.read(0, select=lambda n: np.array([n - 1]))[0])]
    write_folder(folder, numbers=range(12, 14))
    read.append(read_number(source.read(0, select=lambda n: np.array([n - 1]))[0]))
    assert read == [11, 11]


def test_bad_folder_is_named_when_training(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: the folder holds no JPEG picture"):
        FramesOnDemand((tmp_path / "empty",), PREPROCESSING).read(0, select=np.arange)


def test_views_of_folders_are_those_of_the_same_pictures(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "85")
    sampling = Sampling(rule="segment_centres", num_frames=4)
    (views,) = read_all_views([folder], preprocessing=PREPROCESSING, sampling=sampling, plan=ViewPlan(),
                              num_workers=1)  # fmt: skip
    assert [read_number(frame) for frame in views[0]] == [1, 4, 7, 10]


def test_content_is_that_of_all_pictures(tmp_path: Path) -> None:
    first, second = (write_folder(tmp_path / name) for name in ("a", "b"))
    assert digest_video(first) == digest_video(second)
    assert size_bytes(first) == size_bytes(second) == sum(path.stat().st_size for path in first.iterdir())
    (second / "00001.jpg").write_bytes((second / "00002.jpg").read_bytes())
    assert digest_video(first) != digest_video(second)
