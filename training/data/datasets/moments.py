"""Moments in Time: tables of ``path,label,...`` without a header, and ``moments_categories.txt`` with the classes."""

from pathlib import Path

from training.data.annotations import Annotation
from training.data.class_lists import read_class_list
from training.data.class_order import name_key
from training.data.datasets.listing import Listing, Official
from training.errors import DataError
from training.files.texts import read_rows

_TABLES = {"train": ("trainingSet.csv", "training"), "val": ("validationSet.csv", "validation")}


def read_moments(official: Official) -> Listing:
    """Read the training and the validation table; videos lie in ``training`` and ``validation``, by class.

    Raises:
        DataError: a file is missing or wrong, or a label is no class.
    """
    labels = official.labels or official.require("moments_categories.txt")
    classes = read_class_list(labels).require_sound()
    id_of = {name_key(name): index for index, name in enumerate(classes)}
    files = {split: official.require(name) for split, (name, _) in _TABLES.items()}
    videos = [
        video
        for split, path in files.items()
        for video in _read_table(path, split=split, folder=_TABLES[split][1], id_of=id_of)
    ]
    return Listing(classes, tuple(videos), (labels, *files.values()))


def _read_table(path: Path, *, split: str, folder: str, id_of: dict[str, int]) -> list[Annotation]:
    videos = []
    for row in read_rows(path):
        if len(row) < 2:
            raise DataError(f"{path}: row {row} must start with a path and a label")
        label_id = id_of.get(name_key(row[1]))
        if label_id is None:
            raise DataError(f"{path}: row {row} has the label {row[1]!r}, which is no class of the list")
        videos.append(Annotation(f"{folder}/{row[0]}", label_id, split))
    return videos
