"""Data sets without a reader of their own: a folder for each class, a table of videos, or published split lists."""

from dataclasses import replace
from pathlib import PurePosixPath

from service.contract.wording import list_some
from training.data.annotations import Annotation
from training.data.class_lists import read_class_list
from training.data.class_order import name_key
from training.data.datasets.listing import Listing, Official
from training.data.datasets.locate import list_videos
from training.data.split_files import join_splits
from training.errors import DataError
from training.files.texts import read_records

# Folders that hold a split, and what it is called here.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_VIDEO_COLUMNS, _LABEL_COLUMNS, _SPLIT_COLUMNS = ("video", "path", "file"), ("label", "class", "name"), ("split", "set")


def read_folders(official: Official) -> Listing:
    """Read a folder of videos for each class, perhaps inside folders of splits; deeper folders do not count.

    Notes say how many files are left out, and why.

    Raises:
        DataError: no video lies in a class's folder, or a folder is no class of the list that was given.
    """
    placed = []
    files = list_videos(official.videos)
    for path in files.videos:
        folders = PurePosixPath(path).parts[:-1]
        split = SPLIT_FOLDERS.get(folders[0].lower()) if len(folders) > 1 else None
        if folders:
            placed.append((path, folders[1] if split else folders[0], split or official.default_split))
    if not placed:
        raise DataError(f"{official.videos} holds no video in a folder of its own class; lay out <class>/<video>")
    loose = len(files.videos) - len(placed)
    left_out = {**files.left_out, **({"in no folder of a class": loose} if loose else {})}
    notes = (f"left out: {', '.join(f'{number} {reason}' for reason, number in left_out.items())}",) if left_out else ()
    return replace(_build(official, placed=placed), notes=notes)


def read_table(official: Official) -> Listing:
    """Read a table with a header that has columns for the video and its label, and perhaps for its split.

    Raises:
        DataError: there is no such table or column, a cell is empty, or a label is not in the list that was given.
    """
    if official.files is None or not official.files.is_file():
        raise DataError(f"--files is {official.files}; name the table of the videos")
    rows = read_records(official.files)
    columns = list(rows[0]) if rows else []
    video, label, split = (
        next((name for name in names if name in columns), None)
        for names in (_VIDEO_COLUMNS, _LABEL_COLUMNS, _SPLIT_COLUMNS)
    )
    if video is None or label is None:
        raise DataError(
            f"{official.files} has the columns {', '.join(columns) or 'none'}; it needs one of "
            f"{', '.join(_VIDEO_COLUMNS)}, one of {', '.join(_LABEL_COLUMNS)}, and a row for each video"
        )
    if empty := [str(number) for number, row in enumerate(rows, 2) if not row[video] or not row[label]]:
        raise DataError(f"{official.files} has no video or no label in row {list_some(empty)}")
    placed = [(row[video], row[label], (row[split] if split else "") or official.default_split) for row in rows]
    return _build(official, placed=placed)


def read_lists(official: Official) -> Listing:
    """Read lists of ``<path> <class>`` or ``<folder> <number of frames> <class>``, each with its list of classes.

    Raises:
        DataError: no list was given, or a list is wrong or numbers its classes otherwise than they are listed.
    """
    if not official.lists:
        raise DataError("no list was given; name each split's with --list, as --list test=val1.txt,labels.csv")
    classes, videos = join_splits(official.lists)
    files = tuple(path for each in official.lists for path in (each.videos, each.classes))
    are_folders = any((official.videos / each.video).is_dir() for each in videos)
    return Listing(classes, videos, tuple(dict.fromkeys(files)), frame_folders=are_folders)


def _build(official: Official, *, placed: list[tuple[str, str, str]]) -> Listing:
    """Number the classes of videos in alphabetical order, or in that of the list that was given."""
    found = {name for _, name, _ in placed}
    classes = tuple(sorted(found)) if official.labels is None else read_class_list(official.labels).require_sound()
    id_of = {name_key(name): index for index, name in enumerate(classes)}
    if unknown := sorted(name for name in found if name_key(name) not in id_of):
        raise DataError(f"{official.labels} lacks {len(unknown)} classes of the videos: {list_some(unknown)}")
    videos = tuple(Annotation(video, id_of[name_key(name)], split) for video, name, split in placed)
    return Listing(classes, videos, tuple(path for path in (official.files, official.labels) if path is not None))
