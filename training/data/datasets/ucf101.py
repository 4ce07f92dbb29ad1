"""UCF101: ``classInd.txt``, ``trainlist0<k>.txt``, and ``testlist0<k>.txt`` with or without class numbers."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from training.data.annotations import Annotation
from training.data.class_lists import read_class_list
from training.data.class_order import name_key
from training.data.datasets.listing import Listing, Official
from training.errors import DataError
from training.files.texts import read_lines

# A path, and no, one or two class numbers.
_LINE = re.compile(r"(\S+)((?:\s+[0-9]+)*)")


def read_ucf101(official: Official) -> Listing:
    """Read one of the three official splits; the class of a video is that of its folder, which its number must be too.

    Raises:
        DataError: a file is missing or wrong, or folder and number of a video are different classes.
    """
    number = official.split_number
    class_file = official.labels or official.require("classInd.txt")
    class_list = read_class_list(class_file)
    classes = class_list.require_sound()
    lists = {split: official.require(f"{split}list{number:02d}.txt") for split in ("train", "test")}
    videos: list[Annotation] = []
    notes = [f"{class_file.name}: {note}" for note in class_list.notes if "CR LF" in note]
    for split, path in lists.items():
        own, own_notes = read_ucf_list(path, split=split, id_of={name: i for i, name in enumerate(classes)})
        videos += own
        notes += [f"{path.name}: {note}" for note in own_notes]
    return Listing(classes, tuple(videos), (class_file, *lists.values()), tuple(notes))


def read_ucf_list(path: Path, *, split: str, id_of: Mapping[str, int]) -> tuple[list[Annotation], list[str]]:
    """Read one list and say what is unusual about it; ``id_of`` numbers the classes from 0.

    Raises:
        DataError: a line is wrong, its folder is no class, or its number, which counts from 1, is another class's.
    """
    by_key = {name_key(name): (name, label_id) for name, label_id in id_of.items()}
    videos, spellings, counts = [], set(), set()
    for where, video, numbers in _read_lines(path):
        folder = PurePosixPath(video).parent.name
        if name_key(folder) not in by_key:
            raise DataError(f"{where}: folder {folder!r} of {video!r} is no class of the list; correct one of them")
        name, label_id = by_key[name_key(folder)]
        if any(number != label_id + 1 for number in numbers):
            raise DataError(f"{where}: {video!r} has the class number {numbers[0]}, but {name!r} is {label_id + 1}")
        videos.append(Annotation(video, label_id, split))
        counts.add(len(numbers))
        spellings |= {(folder, name)} if folder != name else set()
    notes = [f"folder {folder!r} is spelled {name!r} in the list of classes" for folder, name in sorted(spellings)]
    if counts - {0} and split == "test":
        notes.append(f"lines carry {max(counts)} class number{'s' if max(counts) > 1 else ''}, the official file none")
    if b"\r\n" in path.read_bytes():
        notes.append("lines end with CR LF")
    return videos, notes


def _read_lines(path: Path) -> Iterator[tuple[str, str, list[int]]]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if not match or "/" not in match[1]:
            raise DataError(f"{path} line {number} is {line.strip()!r}; expected <class>/<file>, and perhaps a number")
        yield f"{path} line {number}", match[1], [int(each) for each in match[2].split()]
