"""Published split files, ``<path> <label id>`` lines beside a list of class names, joined to a data folder.

Lists with classes of their own, as those of base and novel classes, are joined by the names. What a data folder is
lives in ``annotations``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.contract.labels import Label
from training.data.annotations import ANNOTATIONS_NAME, LABELS_NAME, Annotation, label_rows
from training.data.class_lists import read_class_list
from training.data.class_order import check_class_order, name_key
from training.errors import DataError
from training.files.texts import read_lines, write_rows

_COUNTED = re.compile(r"(.*\S)\s+([0-9]+)\s+([0-9]+)")


@dataclass(frozen=True)
class SplitFile:
    """A list of videos that makes a split, and the list that says what its label ids are called."""

    split: str
    videos: Path
    classes: Path


def read_split_list(path: Path, *, num_labels: int, first: int = 0) -> tuple[tuple[str, int], ...]:
    """Read a list of ``<path> <label id>`` or ``<folder> <number of frames> <label id>`` lines; paths may hold blanks.

    They stay as they are listed, also those of another machine.

    A list counts as one of folders if every line ends in two numbers. Label ids count from ``first``.

    Raises:
        DataError: a line without an id, an id beyond the labels, or no line at all; the message names the line.
    """
    lines = {number: line.strip() for number, line in enumerate(read_lines(path), 1) if line.strip()}
    if not lines:
        raise DataError(f"{path} lists no video; give one '<path> <label id>' a line")
    counts_frames = all(_COUNTED.fullmatch(line) for line in lines.values())
    return tuple(
        _parse_line(
            _COUNTED.sub(r"\1 \3", line) if counts_frames else line,
            where=f"{path} line {number}",
            num_labels=num_labels,
            first=first,
        )
        for number, line in lines.items()
    )


def join_splits(files: Sequence[SplitFile]) -> tuple[tuple[str, ...], tuple[Annotation, ...]]:
    """Join split files to the classes and annotations of one data folder, with classes in the order of the first list.

    Raises:
        DataError: a file is wrong, or a list numbers its classes otherwise than its table.
    """
    id_of: dict[str, int] = {}
    classes: list[str] = []
    annotations: list[Annotation] = []
    for file in files:
        table = read_class_list(file.classes)
        names, first = table.require_sound(), table.ids[0]
        listed = [
            (video, number - first)
            for video, number in read_split_list(file.videos, num_labels=len(names), first=first)
        ]
        check_class_order(names, listed, where=f"{file.classes.name} and {file.videos.name}")
        for name in names:
            if id_of.setdefault(name_key(name), len(classes)) == len(classes):
                classes.append(name)
        annotations += [Annotation(video, id_of[name_key(names[label_id])], file.split) for video, label_id in listed]
    return tuple(classes), tuple(annotations)


def write_video_tables(
    directory: Path,
    *,
    labels: Sequence[Label],
    annotations: Sequence[Annotation],
    originals: Sequence[str] | None = None,
) -> None:
    """Write the two tables of a data folder, each of which appears whole; ``originals`` are the data set's names."""
    rows = label_rows(labels)
    if originals is not None:
        rows = [(*row, name) for row, name in zip(rows, ("original", *originals), strict=True)]
    write_rows(directory / LABELS_NAME, rows=rows)
    write_rows(
        directory / ANNOTATIONS_NAME,
        rows=[("video", "label_id", "split"), *((each.video, str(each.label_id), each.split) for each in annotations)],
    )


def _parse_line(line: str, *, where: str, num_labels: int, first: int) -> tuple[str, int]:
    *rest, label_id = line.rsplit(maxsplit=1)
    video = "".join(rest)
    if not video or not label_id.isdecimal():
        raise DataError(f"{where} is {line!r}; expected '<path> <label id>'")
    if not first <= int(label_id) < first + num_labels:
        raise DataError(
            f"{where}: label id {label_id} is not among the {num_labels} classes of the table, {first} to "
            f"{first + num_labels - 1}"
        )
    return video, int(label_id)
