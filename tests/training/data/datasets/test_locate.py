"""Videos found where archives unpack them, however the lists name them."""

from pathlib import Path

import pytest

from tests.training.data.datasets.files import touch
from training.data.annotations import Annotation
from training.data.datasets.listing import Listing
from training.data.datasets.locate import Found, find_videos, list_videos
from training.errors import DataError

CLASSES = ("brush_hair", "kick")


def listing(*videos: str, frame_folders: bool = False) -> Listing:
    return Listing(CLASSES, tuple(Annotation(each, 1, "val") for each in videos), frame_folders=frame_folders)


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ("a.avi", "a.avi"),
        ("a.avi", "val/a.avi"),
        ("a.avi", "kick/a.avi"),
        ("kick/a.avi", "a.avi"),
        ("Kick/A.avi", "kick/a.avi"),
        ("some.odd_name", "deep/er/some.odd_name.mp4"),
        ("a.avi", "a.mp4"),
        ("/somewhere/else/a.avi", "a.avi"),
        ("../videos/a.avi", "kick/a.avi"),
    ],
)
def test_a_video_is_found_by_its_name(tmp_path: Path, listed: str, there: str) -> None:
    assert find_videos(listing(listed), directory=touch(tmp_path, there)) == ((Annotation(there, 1, "val"),), ())


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        (["brush_hair/a.avi", "kick/a.avi"], "kick/a.avi"),
        (["train/x/a.avi", "val/x/a.avi"], "val/x/a.avi"),
        (["x/a.avi", "x/a.mp4"], "x/a.avi"),
    ],
)
def test_class_then_split_then_suffix_tell_the_right_file(tmp_path: Path, there: list[str], chosen: str) -> None:
    found, _ = find_videos(listing("a.avi"), directory=touch(tmp_path, *there))
    assert found == (Annotation(chosen, 1, "val"),)


def test_one_name_may_be_a_video_of_each_split(tmp_path: Path) -> None:
    touch(tmp_path, "train/a.avi", "val/a.avi")
    videos = (Annotation("a.avi", 0, "val"), Annotation("a.avi", 0, "train"))
    found, _ = find_videos(Listing(CLASSES, videos), directory=tmp_path)
    assert [each.video for each in found] == ["val/a.avi", "train/a.avi"]


def test_several_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.avi of the lists may be x/a.avi or y/a.avi; keep the right one"):
        find_videos(listing("a.avi"), directory=touch(tmp_path, "x/a.avi", "y/a.avi"))


def test_missing_videos_are_told_apart(tmp_path: Path) -> None:
    found, missing = find_videos(listing("a.avi", "b.avi"), directory=touch(tmp_path, "b.avi"))
    assert ([each.video for each in found], [each.video for each in missing]) == (["b.avi"], ["a.avi"])


def test_frame_folders_are_folders(tmp_path: Path) -> None:
    touch(tmp_path, "85/00001.jpg", "val/17/00001.jpg", "9.mp4")
    found, missing = find_videos(listing("85", "17", "9", frame_folders=True), directory=tmp_path)
    assert ([each.video for each in found], [each.video for each in missing]) == (["85", "val/17"], ["9"])


@pytest.mark.parametrize(
    "name",
    [f"a{suffix}" for suffix in (".mp4", ".gif", ".ts", ".3gp", ".ogv", ".MTS", ".m2ts", ".vob", ".f4v", ".wmv")],
)
def test_what_ends_like_an_accepted_container_is_a_video(tmp_path: Path, name: str) -> None:
    assert list_videos(touch(tmp_path, name)) == Found((name,), {})


def test_what_is_no_video_is_left_out_and_counted(tmp_path: Path) -> None:
    touch(tmp_path, "b/c.MP4", "a.webm", "labels.csv", "b/00001.jpg", "b/00002.jpg", "README")
    touch(tmp_path, "b/._c.MP4", "__MACOSX/b/._c.MP4", ".hidden.mp4", ".cache/d.mp4")
    assert list_videos(tmp_path) == Found(
        ("a.webm", "b/c.MP4"),
        {
            "added by macOS": 2,
            "hidden": 2,
            "no video by its ending (.csv)": 1,
            "no video by its ending (.jpg)": 2,
            "no video by its ending (none)": 1,
        },
    )


@pytest.mark.parametrize(
    "listed",
    [
        "/mnt/data/kick/a.avi",
        "C:\\data\\kick\\a.avi",
        "D:/data/kick/a.avi",
        "kick\\a.avi",
        "..\\kick\\a.avi",
        "./kick/a.avi",
    ],
)
def test_paths_of_another_machine_are_found_by_their_ends(tmp_path: Path, listed: str) -> None:
    touch(tmp_path, "kick/a.avi", "more/kick/a.avi")
    assert find_videos(listing(listed), directory=tmp_path) == ((Annotation("kick/a.avi", 1, "val"),), ())


@pytest.mark.parametrize("listed", ["/mnt/frames/17", "C:\\frames\\17"])
def test_frame_folders_of_another_machine_are_found_by_their_ends(tmp_path: Path, listed: str) -> None:
    touch(tmp_path, "17/00001.jpg")
    found, _ = find_videos(listing(listed, frame_folders=True), directory=tmp_path)
    assert found == (Annotation("17", 1, "val"),)
