"""UCF101: lists with and without numbers, either end of lines, and either spelling of handstand push-ups."""

from pathlib import Path

import pytest

from tests.training.data.datasets.files import write
from training.data.annotations import Annotation
from training.data.datasets.listing import Listing, Official
from training.data.datasets.ucf101 import read_ucf101
from training.errors import DataError


def read(
    folder: Path, *, train: list[str], test: list[str], end: str = "\n", classes: str = "HandstandPushups"
) -> Listing:
    write(folder / "classInd.txt", "1 Archery", f"2 {classes}", "", end=end)
    write(folder / "trainlist02.txt", *train, end=end)
    write(folder / "testlist02.txt", *test, end=end)
    return read_ucf101(Official(videos=folder, files=folder, split_number=2))


def test_official_lists_are_read(tmp_path: Path) -> None:
    listing = read(tmp_path, train=["Archery/v_Archery_g01_c01.avi 1"], test=["HandstandPushups/v_H_g01_c01.avi", ""])
    assert listing.classes == ("Archery", "HandstandPushups")
    assert listing.videos == (
        Annotation("Archery/v_Archery_g01_c01.avi", 0, "train"),
        Annotation("HandstandPushups/v_H_g01_c01.avi", 1, "test"),
    )
    assert listing.notes == ()


def test_what_copies_of_the_lists_differ_in_is_noted(tmp_path: Path) -> None:
    listing = read(tmp_path, train=["Archery/a.avi 1"], test=["HandStandPushups/b.avi 2 2"], end="\r\n")
    assert [each.label_id for each in listing.videos] == [0, 1]
    assert listing.notes == (
        "classInd.txt: lines end with CR LF",
        "trainlist02.txt: lines end with CR LF",
        "testlist02.txt: folder 'HandStandPushups' is spelled 'HandstandPushups' in the list of classes",
        "testlist02.txt: lines carry 2 class numbers, the official file none",
        "testlist02.txt: lines end with CR LF",
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Archery/a.avi 2", "'Archery/a.avi' has the class number 2, but 'Archery' is 1"),
        ("Bowling/a.avi 1", "folder 'Bowling' of 'Bowling/a.avi' is no class of the list; correct one of them"),
        ("a.avi 1", "is 'a.avi 1'; expected <class>/<file>, and perhaps a number"),
        ("Archery/a b.avi 1", "is 'Archery/a b.avi 1'; expected"),
    ],
)
def test_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=f"trainlist02.txt line 2:? {message}"):
        read(tmp_path, train=["Archery/a.avi 1", line], test=[])


def test_missing_list_is_named(tmp_path: Path) -> None:
    write(tmp_path / "classInd.txt", "1 Archery")
    with pytest.raises(DataError, match=r"holds no trainlist01.txt; put the official file there"):
        read_ucf101(Official(videos=tmp_path, files=tmp_path))
