"""Published split files, ``<path> <label id>`` lines beside a table of class names, joined to a data folder.

Lists with tables of their own, as those of base and novel classes, are joined by the names. What a data folder is lives
in ``annotations``.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from service.contract.labels import Label, LabelDictionary, load_builtin_label_sets, text_key
from training.data.annotations import ANNOTATIONS_NAME, LABELS_NAME, Annotation
from training.data.class_order import check_class_order
from training.errors import DataError

_HEADER = ["id", "name"]
_NUM_NAMED = 5


@dataclass(frozen=True)
class SplitFile:
    """A list of videos that makes a split, and the table that says what its label ids are called."""

    split: str
    videos: Path
    classes: Path


def read_classes(path: Path) -> tuple[str, ...]:
    """Read a table of class names with the header ``id,name``; its rows may stand in any order.

    Raises:
        DataError: another header, a row that is not an id and a name, ids with gaps or repeats, or a repeated name;
            the ids and names are told.
    """
    header, *rows = [row for row in csv.reader(_lines(path)) if row] or [[]]
    if header != _HEADER:
        raise DataError(f"{path} must start with the header {','.join(_HEADER)!r}, not {','.join(header)!r}")
    names: dict[int, str] = {}
    for row in rows:
        if len(row) != len(_HEADER) or not row[0].isdecimal() or not row[1].strip():
            raise DataError(f"{path}: row {row} must be an id and a name; quote a name that holds a comma")
        label_id, name = int(row[0]), row[1].strip()
        if label_id in names:
            raise DataError(f"{path}: id {label_id} is given to {names[label_id]!r} and to {name!r}; renumber one")
        names[label_id] = name
    _check_names(names, path=path)
    return tuple(names[label_id] for label_id in range(len(names)))


def read_split_list(path: Path, *, num_labels: int) -> tuple[tuple[str, int], ...]:
    """Read a list of ``<path> <label id>`` lines; paths may hold blanks.

    Raises:
        DataError: a line without an id, an id beyond the labels, a path that leaves its folder, or no line at all; the
            message names the line.
    """
    listed = tuple(
        _parse_line(line, where=f"{path} line {number}", num_labels=num_labels)
        for number, line in enumerate(_lines(path), 1)
        if line.strip()
    )
    if not listed:
        raise DataError(f"{path} lists no video; give one '<path> <label id>' a line")
    return listed


def join_splits(files: Sequence[SplitFile]) -> tuple[tuple[Label, ...], tuple[Annotation, ...]]:
    """Join split files to the labels and annotations of one data folder, with labels in the order of their first table.

    Chinese names come from the built-in dictionaries, where they know the English one.

    Raises:
        DataError: a file is wrong, or a list numbers its classes otherwise than its table.
    """
    dictionary = LabelDictionary.of(label for labels in load_builtin_label_sets().values() for label in labels)
    id_of: dict[str, int] = {}
    labels: list[Label] = []
    annotations: list[Annotation] = []
    for file in files:
        names = read_classes(file.classes)
        listed = read_split_list(file.videos, num_labels=len(names))
        check_class_order(names, listed, where=f"{file.classes.name} and {file.videos.name}")
        for name in names:
            if id_of.setdefault(text_key(name), len(labels)) == len(labels):
                labels.append(dictionary.complete(Label(name)))
        annotations += [Annotation(video, id_of[text_key(names[label_id])], file.split) for video, label_id in listed]
    return tuple(labels), tuple(annotations)


def write_video_tables(directory: Path, *, labels: Sequence[Label], annotations: Sequence[Annotation]) -> None:
    """Write the two tables of a data folder beside its videos; each appears whole."""
    _write_table(
        directory / LABELS_NAME,
        rows=[("id", "en", "zh"), *((str(i), each.en or "", each.zh or "") for i, each in enumerate(labels))],
    )
    _write_table(
        directory / ANNOTATIONS_NAME,
        rows=[("video", "label_id", "split"), *((each.video, str(each.label_id), each.split) for each in annotations)],
    )


def _check_names(names: dict[int, str], *, path: Path) -> None:
    if gaps := [str(label_id) for label_id in range(max(names, default=0) + 1) if label_id not in names]:
        beyond = [f"{label_id} {name!r}" for label_id, name in sorted(names.items()) if label_id >= len(names)]
        raise DataError(
            f"{path}: ids must count from 0 without gaps, but {_shorten(gaps)} are missing; beyond {len(names) - 1} "
            f"are {_shorten(beyond)}. Complete or renumber the table, and the lists with it"
        )
    counts = Counter(map(text_key, names.values()))
    if repeats := [f"{label_id} {name!r}" for label_id, name in sorted(names.items()) if counts[text_key(name)] > 1]:
        raise DataError(f"{path}: names must differ, but these do not: {_shorten(repeats)}")


def _shorten(parts: Sequence[str]) -> str:
    more = f" and {len(parts) - _NUM_NAMED} more" if len(parts) > _NUM_NAMED else ""
    return ", ".join(parts[:_NUM_NAMED]) + more


def _parse_line(line: str, *, where: str, num_labels: int) -> tuple[str, int]:
    video, _, label_id = line.strip().rpartition(" ")
    video = video.strip()
    if not video or not label_id.isdecimal():
        raise DataError(f"{where} is {line.strip()!r}; expected '<path> <label id>'")
    if int(label_id) >= num_labels:
        raise DataError(f"{where}: label id {label_id} is beyond the {num_labels} classes of the table, 0 to "
                        f"{num_labels - 1}")  # fmt: skip
    place = PurePosixPath(video)
    if place.is_absolute() or ".." in place.parts:
        raise DataError(f"{where}: video {video!r} must be a path inside the data folder")
    return video, int(label_id)


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}") from error


def _write_table(path: Path, *, rows: Sequence[tuple[str, ...]]) -> None:
    unfinished = path.with_name(f".{path.name}.partial")
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    unfinished.replace(path)
