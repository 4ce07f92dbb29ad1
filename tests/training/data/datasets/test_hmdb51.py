"""HMDB51 in the layout of its authors, and in the flat lists of others."""

from pathlib import Path

import pytest

from service.contract.labels import load_builtin_label_tables
from tests.training.data.datasets.files import write
from training.data.annotations import Annotation
from training.data.datasets.hmdb51 import read_hmdb51
from training.data.datasets.listing import Official
from training.errors import DataError


def official(folder: Path, number: int = 1, labels: Path | None = None) -> Official:
    return Official(videos=folder, files=folder, split_number=number, labels=labels)


def test_class_files_give_the_videos_of_one_split(tmp_path: Path) -> None:
    folder = tmp_path / "testTrainMulti_7030_splits"
    write(folder / "wave_test_split1.txt", "w1.avi 1 ", "w2.avi 2 ", "w3.avi 0 ")
    write(folder / "brush_hair_test_split1.txt", "#1 b!;c&d_brush_hair_u.avi 2 ", "")
    write(folder / "wave_test_split2.txt", "w1.avi 2 ")
    listing = read_hmdb51(official(tmp_path))
    assert listing.classes == ("brush_hair", "wave")
    assert listing.videos == (
        Annotation("#1 b!;c&d_brush_hair_u.avi", 0, "test"),
        Annotation("w1.avi", 1, "train"),
        Annotation("w2.avi", 1, "test"),
    )
    assert listing.notes == ("2 classes have files; HMDB51 has 51",)
    write(folder / "brush_hair_test_split2.txt", "b.avi 1")
    assert read_hmdb51(official(tmp_path, 2)).videos == (
        Annotation("b.avi", 0, "train"),
        Annotation("w1.avi", 1, "test"),
    )


@pytest.mark.parametrize("line", ["w1.avi 3", "w1.avi", "w1.avi one"])
def test_wrong_line_of_a_class_file_is_named(tmp_path: Path, line: str) -> None:
    write(tmp_path / "wave_test_split1.txt", "w0.avi 1", line)
    with pytest.raises(DataError, match=f"wave_test_split1.txt line 2 is '{line}'; expected a file and 1 for training"):
        read_hmdb51(official(tmp_path))


def test_class_with_two_files_is_refused(tmp_path: Path) -> None:
    for copy in ("a", "b"):
        write(tmp_path / copy / "wave_test_split1.txt", "w0.avi 1")
    with pytest.raises(DataError, match="holds 2 files for 1 classes; keep one for each"):
        read_hmdb51(official(tmp_path))


@pytest.mark.parametrize(("base", "notes"), [(0, ()), (1, ("testlist01.txt counts classes from 1",))])
def test_flat_lists_count_from_0_or_1(tmp_path: Path, base: int, notes: tuple[str, ...]) -> None:
    names = load_builtin_label_tables()["hmdb51"].originals
    lines = [f"film_{name}_u_nm_np1_ri_med_0 {index + base}" for index, name in enumerate(names)]
    write(tmp_path / "testlist01.txt", *lines)
    listing = read_hmdb51(official(tmp_path))
    assert listing.classes == names
    assert listing.videos[20] == Annotation("film_kick_u_nm_np1_ri_med_0", 20, "test")
    assert listing.notes == (*notes, "there is no list for train")


def test_flat_lists_that_exchange_classes_are_put_right(tmp_path: Path) -> None:
    names = load_builtin_label_tables()["hmdb51"].originals
    swapped = {"kick": "kick_ball", "kick_ball": "kick", "sword": "sword_exercise", "sword_exercise": "sword"}
    lines = [f"film_{swapped.get(name, name)}_u_0.avi {index}" for index, name in enumerate(names)]
    write(tmp_path / "val1.txt", *lines)
    listing = read_hmdb51(official(tmp_path))
    assert all(f"_{names[each.label_id]}_u" in each.video for each in listing.videos)
    assert listing.notes[0] == (
        "val1.txt counts kick and kick_ball, sword and sword_exercise at each other's place, as its paths tell"
    )


def test_flat_lists_in_another_order_than_the_classes_are_refused(tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", "id,name", "0,run", "1,kick", "2,kick ball")
    write(tmp_path / "val1.txt", "a_run_f.avi 0", "a_kick_ball_f.avi 1", "a_kick_f.avi 2")
    with pytest.raises(DataError, match=r"val1.txt numbers 2 classes differently than their list: 1 is 'kick', but 1"):
        read_hmdb51(official(tmp_path, labels=labels))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["a.avi 0", "b.avi 3"], "has class numbers from 0 to 3 and there are 3 classes, so that it counts neither"),
        (["a.avi 1", "b.avi 2"], "may count classes from 0 or from 1: its numbers are 1 to 2 of 3 classes, and its"),
    ],
)
def test_lists_that_do_not_tell_where_they_count_from_are_refused(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    labels = write(tmp_path / "classes.txt", "run", "kick", "wave")
    write(tmp_path / "trainlist01.txt", *lines)
    with pytest.raises(DataError, match=message):
        read_hmdb51(official(tmp_path, labels=labels))


def test_folder_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds neither <class>_test_split1.txt nor trainlist01.txt and testlist01"):
        read_hmdb51(official(tmp_path))
    with pytest.raises(DataError, match=r"--files is .*gone; name the folder that holds the data set's official files"):
        read_hmdb51(official(tmp_path / "gone"))
