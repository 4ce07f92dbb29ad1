"""Something-Something: templates without brackets, folders of pictures, and a file of the right name but another's."""

import json
from pathlib import Path

import pytest

from tests.training.data.datasets.files import touch, write
from training.data.annotations import Annotation
from training.data.datasets.listing import Official
from training.data.datasets.something_something import read_something_something_v1, read_something_something_v2
from training.data.split_files import SplitFile
from training.errors import DataError

CLASSES = ("Laying something on the table on its side, not upright", "Holding something")
NOTE = "labels.json holds 2 classes; the data set has 174"


def record(video: str, template: str) -> dict[str, str]:
    return {"id": video, "label": "laying cup on the table", "template": template}


def write_v2(folder: Path, *, labels: dict[str, str] | None = None, train: object = None) -> Official:
    train = train or [record("78687", "Laying [something] on the table on its side, not upright")]
    for name, value in (
        ("labels", labels or {name: str(i) for i, name in enumerate(CLASSES)}),
        ("train", train),
        ("validation", [record("74225", "Holding [something]")]),
    ):
        write(folder / f"{name}.json", json.dumps(value))
    return Official(videos=folder, files=folder)


def write_v1(folder: Path) -> Official:
    write(folder / "something-something-v1-labels.csv", *CLASSES)
    write(folder / "something-something-v1-train.csv", "id;label", f"85;{CLASSES[0]}")
    write(folder / "something-something-v1-validation.csv", f"17;{CLASSES[1]}")
    return Official(videos=folder / "videos", files=folder)


def test_records_of_v2_are_read(tmp_path: Path) -> None:
    listing = read_something_something_v2(write_v2(tmp_path))
    assert listing.classes == CLASSES
    assert listing.videos == (Annotation("78687.webm", 0, "train"), Annotation("74225.webm", 1, "val"))
    assert listing.notes == (NOTE,)


def test_answers_of_the_test_split_are_read(tmp_path: Path) -> None:
    official = write_v2(tmp_path)
    write(tmp_path / "test-answers.csv", "1420;Holding something")
    assert read_something_something_v2(official).videos[-1] == Annotation("1420.webm", 1, "test")


def test_file_of_another_data_set_is_told_by_its_content(tmp_path: Path) -> None:
    official = write_v2(tmp_path, labels={"OK gesture": "1", "Waving to the left": "2"})
    message = (
        r"labels.json holds 2 classes such as 'OK gesture', of which 0 say 'something': it is another data set's file, "
        "whatever its name; take the 174"
    )
    with pytest.raises(DataError, match=message):
        read_something_something_v2(official)


@pytest.mark.parametrize(
    ("labels", "train", "message"),
    [
        ({"Holding something": "1"}, None, "numbers its classes from 1; those of Something-Something count from 0"),
        (
            None,
            [record("5", "Flying [something]")],
            "video 5 of split 'train' shows 'Flying .something.', which is no class of the list",
        ),
        (None, [{"id": "5"}], r"train.json: record 0 is {'id': '5'}; expected an object with id and template"),
        (None, {"id": "5"}, r"train.json: record 0 is {'id': '5'}; expected"),
    ],
)
def test_wrong_files_are_refused(tmp_path: Path, labels: dict[str, str] | None, train: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_something_something_v2(write_v2(tmp_path, labels=labels, train=train))


def test_tables_of_v1_name_folders_of_pictures(tmp_path: Path) -> None:
    official = write_v1(tmp_path)
    touch(tmp_path / "videos", "17/00001.jpg")
    listing = read_something_something_v1(official)
    assert listing.videos == (Annotation("85", 0, "train"), Annotation("17", 1, "val"))
    assert listing.frame_folders


def test_v1_may_have_been_made_into_videos(tmp_path: Path) -> None:
    official = write_v1(tmp_path)
    touch(tmp_path / "videos", "17.mp4")
    assert not read_something_something_v1(official).frame_folders


def test_lists_with_numbers_of_frames_are_read(tmp_path: Path) -> None:
    classes = write(tmp_path / "labels.txt", *CLASSES)
    videos = write(tmp_path / "val_rgb.txt", "85 46 1")
    listing = read_something_something_v1(Official(videos=tmp_path, lists=(SplitFile("val", videos, classes),)))
    assert (listing.classes, listing.videos) == (CLASSES, (Annotation("85", 1, "val"),))


def test_wrong_row_of_v1_is_named(tmp_path: Path) -> None:
    official = write_v1(tmp_path)
    write(tmp_path / "something-something-v1-train.csv", "85,Holding something")
    with pytest.raises(DataError, match=r"row \['85,Holding something'\] must be a video's number and its template"):
        read_something_something_v1(official)


def test_several_files_of_one_kind_are_refused(tmp_path: Path) -> None:
    official = write_v1(tmp_path)
    write(tmp_path / "other-labels.csv", "Holding something")
    with pytest.raises(
        DataError, match=r"holds other-labels.csv, something-something-v1-labels.csv; keep one, or name"
    ):
        read_something_something_v1(official)
