"""Something-Something: v1 as folders of pictures with ``id;template`` tables, v2 as WebM with JSON records.

Classes are templates such as "Putting [something] onto [something]"; the brackets are no part of their names.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from training.data.annotations import Annotation
from training.data.class_lists import read_class_list
from training.data.class_order import name_key
from training.data.datasets.listing import Listing, Official
from training.data.split_files import join_splits
from training.errors import DataError
from training.files.texts import read_json, read_rows

NUM_CLASSES = 174
_WORD = "something"
# Nearly all templates hold the word that gave the data set its name.
_NAMED_SHARE = 0.5
_BRACKETS = re.compile(r"[\[\]]")
_ROW_CELLS = 2
# A video's number and its template.
_Record = tuple[str, str]


def read_something_something_v1(official: Official) -> Listing:
    """Read the tables of v1, or lists of ``<folder> <number of frames> <class>`` where these are given.

    Raises:
        DataError: a file is missing or wrong, or a video has a template that is no class.
    """
    if official.lists:
        classes, videos = join_splits(official.lists)
        files = tuple(path for each in official.lists for path in (each.videos, each.classes))
        return Listing(classes, videos, files, frame_folders=_are_folders(videos, official=official))
    labels = official.labels or official.require("labels.csv")
    splits = {"train": official.require("train.csv"), "val": official.require("validation.csv")}
    records = {split: _read_table(path) for split, path in splits.items()}
    classes, notes = _read_classes(labels)
    videos = _join(records, classes=classes, suffix="")
    files = (labels, *splits.values())
    return Listing(classes, videos, files, notes, frame_folders=_are_folders(videos, official=official))


def read_something_something_v2(official: Official) -> Listing:
    """Read the JSON records of v2; the test split counts where its answers are there.

    Raises:
        DataError: a file is missing or wrong, the list of classes is another data set's, or a video has a template that
            is no class.
    """
    labels = official.labels or official.require("labels.json")
    splits = {"train": official.require("train.json"), "val": official.require("validation.json")}
    records = {split: _read_records(path) for split, path in splits.items()}
    if answers := official.find("test-answers.csv"):
        splits["test"] = answers
        records["test"] = _read_table(answers)
    classes, notes = _read_classes(labels)
    return Listing(classes, _join(records, classes=classes, suffix=".webm"), (labels, *splits.values()), notes)


def _read_classes(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the classes with what is unusual about them; the content tells whether they are of this data set."""
    table = read_class_list(path)
    named = [name for name in table.names if _WORD in name_key(name)]
    if len(named) < _NAMED_SHARE * len(table.names):
        raise DataError(
            f"{path} holds {len(table.names)} classes such as {table.names[0]!r}, of which {len(named)} say {_WORD!r}: "
            f"it is another data set's file, whatever its name; take the {NUM_CLASSES} of Something-Something"
        )
    names = table.require_sound()
    if table.ids[0] != 0:
        raise DataError(f"{path} numbers its classes from {table.ids[0]}; those of Something-Something count from 0")
    odd = [f"{path.name} holds {len(names)} classes; the data set has {NUM_CLASSES}"] * (len(names) != NUM_CLASSES)
    return tuple(_BRACKETS.sub("", name) for name in names), tuple(odd)


def _read_records(path: Path) -> Iterator[_Record]:
    records: Any = read_json(path)
    for number, record in enumerate(records if isinstance(records, list) else [records]):
        try:
            yield str(record["id"]), str(record["template"])
        except (KeyError, TypeError) as error:
            raise DataError(
                f"{path}: record {number} is {record!r}; expected an object with id and template"
            ) from error


def _read_table(path: Path) -> Iterator[_Record]:
    for row in read_rows(path, delimiter=";"):
        if len(row) != _ROW_CELLS:
            raise DataError(f"{path}: row {row} must be a video's number and its template, as 1420;Throwing something")
        # Some copies have a header.
        if row[0] != "id":
            yield row[0], row[1]


def _join(records: dict[str, Iterator[_Record]], *, classes: Iterable[str], suffix: str) -> tuple[Annotation, ...]:
    id_of = {name_key(name): index for index, name in enumerate(classes)}
    videos = []
    for split, own in records.items():
        for video, template in own:
            label_id = id_of.get(name_key(template))
            if label_id is None:
                raise DataError(f"video {video} of split {split!r} shows {template!r}, which is no class of the list")
            videos.append(Annotation(f"{video}{suffix}", label_id, split))
    return tuple(videos)


def _are_folders(videos: Iterable[Annotation], *, official: Official) -> bool:
    """Whether the videos are folders of pictures, and not files that were made of them."""
    return any((official.videos / each.video).is_dir() for each in videos)
