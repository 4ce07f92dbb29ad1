"""A data folder on disk: its labels and which video shows which.

``labels.csv`` has the header ``id,en,zh``; ``annotations.csv`` has ``video,label_id,split``, with paths relative to the
folder, or to another one that ``data.json`` names as ``videos``. A video is a file or a folder of numbered pictures.
Choosing a split lives in ``splits``, frames in ``frames``.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path, PurePosixPath
from typing import Any

from service.contract.labels import Label, read_label_file, read_label_table
from service.contract.wording import list_some
from training.data.class_order import check_class_order
from training.errors import DataError
from training.files.texts import read_json, read_text

LABELS_NAME = "labels.csv"
ANNOTATIONS_NAME = "annotations.csv"
DESCRIPTION_NAME = "data.json"
_HEADER = ["video", "label_id", "split"]


@dataclass(frozen=True)
class Annotation:
    """One video of a data folder; ``video`` is relative to the folder of its videos."""

    video: str
    label_id: int
    split: str


@dataclass(frozen=True)
class VideoData:
    """A data folder whose files all exist; ``digest`` is the SHA-256 of its two tables.

    ``name`` and ``elsewhere``, the folder of the videos, are those of ``data.json``, where there is one; else they are
    those of the folder. ``split_number`` tells which of a data set's official splits this is, where it has several.
    """

    directory: Path
    name: str
    labels: tuple[Label, ...]
    annotations: tuple[Annotation, ...]
    digest: str
    elsewhere: Path | None = None
    split_number: int | None = None

    @property
    def videos_directory(self) -> Path:
        """The folder that the videos' paths start from."""
        return self.elsewhere or self.directory

    def path_of(self, annotation: Annotation) -> Path:
        """Where a video lies."""
        return self.videos_directory / annotation.video


def label_rows(labels: Sequence[Label]) -> list[tuple[str, ...]]:
    """The rows of ``labels.csv``, header included."""
    return [("id", "en", "zh"), *((str(index), each.en or "", each.zh or "") for index, each in enumerate(labels))]


def read_video_data(directory: Path) -> VideoData:
    """Read the tables of a data folder and check that every video is there.

    Raises:
        DataError: a table or a video is missing, a row is wrong, or the videos' paths name other classes than their
            labels; the message names file, line and value, or the classes.
        LabelError: the label table is wrong.
    """
    data = read_tables(directory)
    where = directory / ANNOTATIONS_NAME
    listed = [(each.video, each.label_id) for each in data.annotations]
    names = read_label_table(directory / LABELS_NAME).originals
    check_class_order(names, listed, where=f"{directory / LABELS_NAME} and {where.name}")
    if absent := [each.video for each in data.annotations if not data.path_of(each).exists()]:
        raise DataError(f"{len(absent)} of {len(listed)} videos of {where} are missing: {list_some(absent)}")
    return data


def read_tables(directory: Path) -> VideoData:
    """Read the tables of a data folder, whatever they say of its videos.

    Raises:
        DataError: a table is missing, or a row is wrong; the message names file, line and value.
        LabelError: the label table is wrong.
    """
    tables = [directory / LABELS_NAME, directory / ANNOTATIONS_NAME]
    if missing := [path.name for path in tables if not path.is_file()]:
        raise DataError(
            f"{directory} lacks {' and '.join(missing)}; a data folder holds {LABELS_NAME} (id,en,zh) and "
            f"{ANNOTATIONS_NAME} (video,label_id,split)"
        )
    labels = read_label_file(tables[0])
    annotations = _read_annotations(tables[1], num_labels=len(labels))
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in tables)).hexdigest()
    described = read_description(directory)
    elsewhere = directory / str(described["videos"]) if "videos" in described else None
    name = str(described.get("name", directory.resolve().name))
    return VideoData(directory, name, labels, annotations, digest, elsewhere, described.get("split_number"))


def read_description(directory: Path) -> dict[str, Any]:
    """Read what ``data.json`` says of a data folder; nothing where there is none.

    Raises:
        DataError: the file is no JSON.
    """
    path = directory / DESCRIPTION_NAME
    described: dict[str, Any] = read_json(path) if path.is_file() else {}
    return described


def _read_annotations(path: Path, *, num_labels: int) -> tuple[Annotation, ...]:
    # Not splitlines, which also breaks at characters that names may hold, such as U+0085 and U+2028.
    rows = list(csv.reader(StringIO(read_text(path), newline="")))
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    header = [cell.strip() for cell in rows[0]] if rows else []
    if header != _HEADER:
        raise DataError(f"{path} must start with the header {','.join(_HEADER)!r}, not {','.join(header)!r}")
    if len(rows) == 1:
        raise DataError(f"{path} lists no video; add one line for each")
    return tuple(
        _parse_row(row, where=f"{path} line {line}", num_labels=num_labels) for line, row in enumerate(rows[1:], 2)
    )


def _parse_row(row: list[str], *, where: str, num_labels: int) -> Annotation:
    if len(row) != len(_HEADER):
        raise DataError(f"{where} has {len(row)} cells, {row}; expected video, label_id, split")
    video, label_id, split = row[0], row[1].strip(), row[2].strip()
    parts = PurePosixPath(video)
    if not video or parts.is_absolute() or ".." in parts.parts:
        raise DataError(f"{where}: video {video!r} must be a path inside the data folder")
    if not label_id.isdecimal() or int(label_id) >= num_labels:
        raise DataError(f"{where}: label_id {label_id!r} must be a number from 0 to {num_labels - 1}")
    if not split:
        raise DataError(f"{where}: video {video!r} has no split; name one, such as train or test")
    return Annotation(video, int(label_id), split)
