"""Published split files: read, checked, joined by class names, and written as a data folder."""

from pathlib import Path

import pytest

from service.contract.labels import Label, read_label_file
from tests.material import LISTS
from training.data.annotations import Annotation
from training.data.split_files import SplitFile, join_splits, read_split_list, write_video_tables
from training.errors import DataError


def write(path: Path, *lines: str, end: str = "\n") -> Path:
    path.write_bytes("".join(line + end for line in lines).encode())
    return path


def test_list_keeps_blanks_in_paths(tmp_path: Path) -> None:
    file = write(tmp_path / "val.txt", "a b/c d.avi 1", "", "e.webm 0", end="\r\n")
    assert read_split_list(file, num_labels=2) == (("a b/c d.avi", 1), ("e.webm", 0))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"val.txt lists no video; give one '<path> <label id>' a line"),
        (["a.avi 0", "b.avi"], r"val.txt line 2 is 'b.avi'; expected '<path> <label id>'"),
        (["a.avi zero"], "line 1 is 'a.avi zero'; expected"),
        (["a.avi 2"], "line 1: label id 2 is not among the 2 classes of the table, 0 to 1"),
    ],
)
def test_wrong_lists_are_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_split_list(write(tmp_path / "val.txt", *lines), num_labels=2)


def test_splits_are_joined_by_the_names_of_their_classes(tmp_path: Path) -> None:
    base, novel = (
        write(tmp_path / "b.csv", "id,name", "0,run", "1,kick"),
        write(tmp_path / "n.csv", "id,name", "0,wave"),
    )
    train, test = write(tmp_path / "train.txt", "1.avi 1"), write(tmp_path / "test.txt", "2.avi 0")
    classes, annotations = join_splits(
        [SplitFile("train", train, base), SplitFile("test", test, base), SplitFile("novel", test, novel)]
    )
    assert classes == ("run", "kick", "wave")
    assert annotations == (
        Annotation("1.avi", 1, "train"), Annotation("2.avi", 0, "test"), Annotation("2.avi", 2, "novel"),
    )  # fmt: skip


def test_lists_may_count_frames_and_classes_from_one(tmp_path: Path) -> None:
    table = write(tmp_path / "classes.txt", "1 run", "2 kick", end="\r\n")
    videos = write(tmp_path / "val_rgb.txt", "85 46 2", "17 53 053 1")
    assert join_splits([SplitFile("val", videos, table)]) == (
        ("run", "kick"), (Annotation("85", 1, "val"), Annotation("17 53", 0, "val")),
    )  # fmt: skip
    write(videos, "85 46 0")
    with pytest.raises(DataError, match="line 1: label id 0 is not among the 2 classes of the table, 1 to 2"):
        join_splits([SplitFile("val", videos, table)])


def test_list_with_a_numbered_path_and_one_without_is_a_list_of_videos(tmp_path: Path) -> None:
    file = write(tmp_path / "val.txt", "clip 7 1", "b.avi 0")
    assert read_split_list(file, num_labels=2) == (("clip 7", 1), ("b.avi", 0))


def test_list_in_another_order_than_its_classes_is_refused(tmp_path: Path) -> None:
    table = write(tmp_path / "labels.csv", "id,name", "0,run", "1,kick")
    videos = write(tmp_path / "val.txt", "a_kick_f.avi 0", "b_run_f.avi 1")
    with pytest.raises(
        DataError, match=r"labels.csv and val.txt number 2 classes differently: 0 is 'run', but 1 of its"
    ):
        join_splits([SplitFile("test", videos, table)])


def test_tables_are_those_of_a_data_folder(tmp_path: Path) -> None:
    labels = (Label("open, close", "开合"), Label("run"))
    write_video_tables(tmp_path, labels=labels, annotations=[Annotation("a b.avi", 1, "test")])
    assert read_label_file(tmp_path / "labels.csv") == labels
    write_video_tables(tmp_path, labels=labels, annotations=[Annotation("a b.avi", 1, "test")], originals=["OC", "R"])
    assert (tmp_path / "labels.csv").read_text() == 'id,en,zh,original\n0,"open, close",开合,OC\n1,run,,R\n'
    assert (tmp_path / "annotations.csv").read_text() == "video,label_id,split\na b.avi,1,test\n"


@pytest.mark.material
def test_published_lists_are_joined_unless_their_orders_differ() -> None:
    file = SplitFile(
        "train", LISTS / "vificlip_splits/ucf_train1_few_shot_2.txt", LISTS / "vificlip/ucf_101_labels.csv"
    )
    classes, annotations = join_splits([file])
    assert (len(classes), len(annotations)) == (101, 202)
    faulty = SplitFile("test", LISTS / "vificlip_splits/hmdb_val1.txt", LISTS / "vificlip/hmdb_51_labels.csv")
    with pytest.raises(DataError, match="number 4 classes differently: 20 is 'kick ball', but 30 of its 30 videos say"):
        join_splits([faulty])
