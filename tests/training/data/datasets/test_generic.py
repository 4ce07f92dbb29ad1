"""Data sets without a reader of their own: folders of classes, tables, and split lists."""

from pathlib import Path

import pytest

from tests.training.data.datasets.files import touch, write
from training.data.annotations import Annotation
from training.data.datasets.generic import read_folders, read_lists, read_table
from training.data.datasets.listing import Official
from training.data.split_files import SplitFile
from training.errors import DataError


def test_folders_are_classes(tmp_path: Path) -> None:
    touch(tmp_path, "wave/a.mp4", "Brush Hair/b.mp4", "Brush Hair/deeper/c.mp4", "loose.mp4", "wave/notes.txt")
    listing = read_folders(Official(videos=tmp_path))
    assert listing.classes == ("Brush Hair", "wave")
    assert listing.videos == (
        Annotation("Brush Hair/b.mp4", 0, "train"),
        Annotation("Brush Hair/deeper/c.mp4", 0, "train"),
        Annotation("wave/a.mp4", 1, "train"),
    )
    assert listing.notes == ("left out: 1 no video by its ending (.txt), 1 in no folder of a class",)


def test_folders_without_anything_else_need_no_note(tmp_path: Path) -> None:
    assert read_folders(Official(videos=touch(tmp_path, "wave/a.mp4"))).notes == ()


def test_folders_of_splits_hold_folders_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "Train/wave/a.mp4", "validation/wave/b.mp4", "test/c.mp4")
    listing = read_folders(Official(videos=tmp_path, default_split="novel"))
    assert listing.classes == ("test", "wave")
    assert {each.video: each.split for each in listing.videos} == {
        "Train/wave/a.mp4": "train", "validation/wave/b.mp4": "val", "test/c.mp4": "novel",
    }  # fmt: skip


def test_folders_may_follow_a_list_of_classes(tmp_path: Path) -> None:
    touch(tmp_path, "wave/a.mp4")
    labels = write(tmp_path / "classes.txt", "yoga", "Wave")
    assert read_folders(Official(videos=tmp_path, labels=labels)).videos == (Annotation("wave/a.mp4", 1, "train"),)
    with pytest.raises(DataError, match=r"classes.txt lacks 1 classes of the videos: wave"):
        read_folders(Official(videos=tmp_path, labels=write(labels, "yoga")))


def test_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no video in a folder of its own class; lay out <class>/<video>"):
        read_folders(Official(videos=touch(tmp_path, "a.mp4")))


@pytest.mark.parametrize(
    "lines",
    [["video,label,split", "a.mp4,wave,test", "b.mp4,run,"], ["class,path,set", "wave,a.mp4,test", "run,b.mp4"]],
)
def test_tables_have_columns_for_video_label_and_split(tmp_path: Path, lines: list[str]) -> None:
    listing = read_table(Official(videos=tmp_path, files=write(tmp_path / "a.csv", *lines)))
    assert listing.classes == ("run", "wave")
    assert listing.videos == (Annotation("a.mp4", 1, "test"), Annotation("b.mp4", 0, "train"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["video,split", "a.mp4,test"],
            "has the columns video, split; it needs one of video, path, file, one of label",
        ),
        (["video,label"], "has the columns none; it needs"),
        ([], "a.csv is empty; it must start with a header"),
        (["video,label", "a.mp4,", ",wave"], "has no video or no label in row 2, 3"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(Official(videos=tmp_path, files=write(tmp_path / "a.csv", *lines)))


def test_table_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--files is None; name the table of the videos"):
        read_table(Official(videos=tmp_path))


def test_lists_are_joined_with_their_classes(tmp_path: Path) -> None:
    base, novel = write(tmp_path / "b.csv", "id,name", "0,run"), write(tmp_path / "n.csv", "id,name", "0,wave")
    lists = (
        SplitFile("train", write(tmp_path / "train.txt", "1.avi 0"), base),
        SplitFile("novel", write(tmp_path / "novel.txt", "2.avi 0"), novel),
    )
    listing = read_lists(Official(videos=tmp_path, lists=lists))
    assert listing.classes == ("run", "wave")
    assert listing.videos == (Annotation("1.avi", 0, "train"), Annotation("2.avi", 1, "novel"))
    assert not listing.frame_folders


def test_lists_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no list was given; name each split's with --list"):
        read_lists(Official(videos=tmp_path))
