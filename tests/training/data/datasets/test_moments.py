"""Moments in Time: tables without a header beside a list of categories."""

from pathlib import Path

import pytest

from tests.training.data.datasets.files import write
from training.data.annotations import Annotation
from training.data.datasets.listing import Official
from training.data.datasets.moments import read_moments
from training.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "moments_categories.txt", "clapping,0", "adult+female+singing,1")
    write(tmp_path / "trainingSet.csv", "adult+female+singing/yt-a_1.mp4,adult+female+singing,3,0")
    write(tmp_path / "validationSet.csv", "clapping/b.mp4,clapping,4,1")
    return tmp_path


def test_tables_become_splits(folder: Path) -> None:
    listing = read_moments(Official(videos=folder, files=folder))
    assert listing.classes == ("clapping", "adult+female+singing")
    assert listing.videos == (
        Annotation("training/adult+female+singing/yt-a_1.mp4", 1, "train"),
        Annotation("validation/clapping/b.mp4", 0, "val"),
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.mp4,waving,1,2", r"row \['a.mp4', 'waving', '1', '2'\] has the label 'waving', which is no class"),
        ("a.mp4", r"row \['a.mp4'\] must start with a path and a label"),
    ],
)
def test_wrong_row_is_named(folder: Path, row: str, message: str) -> None:
    write(folder / "trainingSet.csv", row)
    with pytest.raises(DataError, match=message):
        read_moments(Official(videos=folder, files=folder))
