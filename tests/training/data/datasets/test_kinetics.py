"""Kinetics tables: file names made of times, classes in alphabetical order, tables without labels."""

from pathlib import Path

import pytest

from tests.training.data.datasets.files import write
from training.data.annotations import Annotation
from training.data.datasets.kinetics import clip_name, read_kinetics
from training.data.datasets.listing import Official
from training.errors import DataError

HEADER = "label,youtube_id,time_start,time_end,split"


def official(folder: Path, labels: Path | None = None) -> Official:
    return Official(videos=folder, files=folder, labels=labels)


def test_clips_are_named_by_their_times() -> None:
    assert clip_name("0wR5jVB-WPk", start_seconds=417, end_seconds=427) == "0wR5jVB-WPk_000417_000427.mp4"


def test_tables_become_splits(tmp_path: Path) -> None:
    write(tmp_path / "kinetics-400_train.csv", HEADER + ",is_cc", '"massaging person\'s head",a-_b,5,15,train,0')
    write(tmp_path / "validate.csv", HEADER, "abseiling,c,12.0,22.0,validate", end="\r\n")
    write(tmp_path / "test.csv", "youtube_id,time_start,time_end,split", "d,1,11,test")
    listing = read_kinetics(official(tmp_path), num_classes=400)
    assert listing.classes == ("abseiling", "massaging person's head")
    assert listing.videos == (
        Annotation("a-_b_000005_000015.mp4", 1, "train"),
        Annotation("c_000012_000022.mp4", 0, "val"),
    )
    assert listing.notes == ("test.csv has no labels, its 1 clips are left out", "there are 2 classes, not 400")


def test_given_classes_keep_their_order(tmp_path: Path) -> None:
    write(tmp_path / "val.csv", HEADER, "abseiling,c,12,22,val")
    labels = write(tmp_path / "classes.txt", "yoga", "Abseiling")
    assert read_kinetics(official(tmp_path, labels), num_classes=2).videos == (
        Annotation("c_000012_000022.mp4", 1, "val"),
    )
    with pytest.raises(DataError, match=r"classes.txt lacks 1 classes of the tables: abseiling"):
        read_kinetics(official(tmp_path, write(labels, "yoga")), num_classes=2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("abseiling,c,one,22,val", r"row \['abseiling', 'c', 'one', '22', 'val'\] has times that are no numbers"),
        ("abseiling,c", r"row \['abseiling', 'c', '', '', ''\] has no time_start and no time_end"),
    ],
)
def test_wrong_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    write(tmp_path / "val.csv", HEADER, row)
    with pytest.raises(DataError, match=message):
        read_kinetics(official(tmp_path), num_classes=400)


def test_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds none of train.csv, val.csv and test.csv; put the official ones there"):
        read_kinetics(official(tmp_path), num_classes=400)
