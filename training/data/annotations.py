"""A data folder on disk: its labels and which video shows which.

``labels.csv`` has the header ``id,en,zh``; ``annotations.csv`` has ``video,label_id,split``, with paths relative to the
folder. Choosing a split lives in ``splits``, frames in ``frames``.
"""

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from service.contract.labels import Label, read_label_file
from training.data.class_order import check_class_order
from training.errors import DataError

LABELS_NAME = "labels.csv"
ANNOTATIONS_NAME = "annotations.csv"
_DESCRIPTION_NAME = "data.json"
_HEADER = ["video", "label_id", "split"]
_NUM_NAMED = 5


@dataclass(frozen=True)
class Annotation:
    """One video of a data folder; ``video`` is relative to the folder."""

    video: str
    label_id: int
    split: str


@dataclass(frozen=True)
class VideoData:
    """A data folder whose files all exist; ``digest`` is the SHA-256 of its two tables.

    ``name`` is that of ``data.json``, where there is one, else the folder's.
    """

    directory: Path
    name: str
    labels: tuple[Label, ...]
    annotations: tuple[Annotation, ...]
    digest: str

    def path_of(self, annotation: Annotation) -> Path:
        """Where a video lies."""
        return self.directory / annotation.video


def read_video_data(directory: Path) -> VideoData:
    """Read the tables of a data folder and check that every video is there.

    Raises:
        DataError: a table or a video is missing, a row is wrong, or the videos' paths name other classes than their
            labels; the message names file, line and value, or the classes.
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
    listed = [(each.video, each.label_id) for each in annotations]
    check_class_order([label.en for label in labels], listed, where=f"{tables[0]} and {tables[1].name}")
    absent = [each.video for each in annotations if not (directory / each.video).is_file()]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(annotations)} videos of {tables[1]} are missing: {', '.join(absent[:_NUM_NAMED])}"
        )
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in tables)).hexdigest()
    return VideoData(directory, _read_name(directory), labels, annotations, digest)


def _read_name(directory: Path) -> str:
    path = directory / _DESCRIPTION_NAME
    if not path.is_file():
        return directory.resolve().name
    return str(json.loads(path.read_text(encoding="utf-8")).get("name", directory.resolve().name))


def _read_annotations(path: Path, *, num_labels: int) -> tuple[Annotation, ...]:
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error}") from error
    header = rows[0] if rows else []
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
    video, label_id, split = row
    parts = PurePosixPath(video)
    if not video or parts.is_absolute() or ".." in parts.parts:
        raise DataError(f"{where}: video {video!r} must be a path inside the data folder")
    if not label_id.isdecimal() or int(label_id) >= num_labels:
        raise DataError(f"{where}: label_id {label_id!r} must be a number from 0 to {num_labels - 1}")
    if not split:
        raise DataError(f"{where}: video {video!r} has no split; name one, such as train or test")
    return Annotation(video, int(label_id), split)
