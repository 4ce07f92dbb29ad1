"""Kinetics-400, 600 and 700: tables of clips on YouTube, whose files carry the times, ``<id>_<start>_<end>.mp4``.

Many clips are gone from the internet, so that no copy is complete.
"""

from collections.abc import Iterator
from pathlib import Path

from service.contract.wording import list_some
from training.data.annotations import Annotation
from training.data.class_lists import read_class_list
from training.data.class_order import name_key
from training.data.datasets.listing import Listing, Official
from training.errors import DataError
from training.files.texts import read_records

_TABLES = {"train": ("train.csv",), "val": ("val.csv", "validate.csv", "validation.csv"), "test": ("test.csv",)}
_CLIP = ("youtube_id", "time_start", "time_end")


def read_kinetics(official: Official, *, num_classes: int) -> Listing:
    """Read the tables that are there; classes are in alphabetical order, as everywhere, unless a list is given.

    Raises:
        DataError: no table is there, a column is missing, a time is no number, or a class is not in the list.
    """
    tables = {split: path for split, names in _TABLES.items() if (path := official.find(*names))}
    if not tables:
        raise DataError(
            f"{official.folder()} holds none of train.csv, val.csv and test.csv; put the official ones there"
        )
    rows = {split: read_records(path) for split, path in tables.items()}
    unlabelled = [split for split, own in rows.items() if own and "label" not in own[0]]
    notes = [f"{tables[split].name} has no labels, its {len(rows[split])} clips are left out" for split in unlabelled]
    kept = {split: own for split, own in rows.items() if split not in unlabelled}
    classes = _find_classes(official, names={row["label"] for own in kept.values() for row in own})
    if len(classes) != num_classes:
        notes.append(f"there are {len(classes)} classes, not {num_classes}")
    id_of = {name_key(name): index for index, name in enumerate(classes)}
    videos = tuple(
        video for split, own in kept.items() for video in _list(own, split=split, id_of=id_of, path=tables[split])
    )
    return Listing(classes, videos, tuple(tables.values()), tuple(notes))


def clip_name(youtube_id: str, *, start_seconds: int, end_seconds: int) -> str:
    """Name the file of a clip as the data set's downloaders do."""
    return f"{youtube_id}_{start_seconds:06d}_{end_seconds:06d}.mp4"


def _find_classes(official: Official, *, names: set[str]) -> tuple[str, ...]:
    if official.labels is None:
        return tuple(sorted(names))
    listed = read_class_list(official.labels).require_sound()
    keys = set(map(name_key, listed))
    if unknown := sorted(name for name in names if name_key(name) not in keys):
        raise DataError(f"{official.labels} lacks {len(unknown)} classes of the tables: {list_some(unknown)}")
    return listed


def _list(rows: list[dict[str, str]], *, split: str, id_of: dict[str, int], path: Path) -> Iterator[Annotation]:
    for row in rows:
        if missing := [name for name in _CLIP if not row.get(name)]:
            raise DataError(f"{path}: row {list(row.values())} has no {' and no '.join(missing)}")
        try:
            start_seconds, end_seconds = (int(float(row[name])) for name in _CLIP[1:])
        except ValueError as error:
            raise DataError(f"{path}: row {list(row.values())} has times that are no numbers: {error}") from error
        name = clip_name(row["youtube_id"], start_seconds=start_seconds, end_seconds=end_seconds)
        yield Annotation(name, id_of[name_key(row["label"])], split)
