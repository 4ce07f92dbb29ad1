"""HMDB51: the official files of each class, ``<class>_test_split<k>.txt``, or flat lists of train and test videos."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.contract.labels import load_builtin_label_tables
from service.contract.wording import list_some
from training.data.annotations import Annotation
from training.data.class_lists import read_class_list
from training.data.datasets.listing import Listing, Official
from training.data.datasets.numbered_lists import read_numbered_list
from training.errors import DataError
from training.files.texts import read_lines

NUM_CLASSES = 51
_SPLIT_OF = {"1": "train", "2": "test"}
_UNUSED = "0"
# What some published lists count at each other's place.
_EXCHANGED = {"kick": "kick_ball", "kick_ball": "kick", "sword": "sword_exercise", "sword_exercise": "sword"}
_EXCHANGE_NOTE = "counts kick and kick_ball, sword and sword_exercise at each other's place, as its paths tell"
_FLAT = {"train": ("trainlist{k:02d}.txt", "train{k}.txt"), "test": ("testlist{k:02d}.txt", "val{k}.txt")}


def read_hmdb51(official: Official) -> Listing:
    """Read one of the three official splits, whichever layout its files have.

    Raises:
        DataError: neither layout is there, or a file is wrong.
    """
    number, folder = official.split_number, official.folder()
    if files := sorted(folder.rglob(f"*_test_split{number}.txt")):
        return _read_class_files(files, number=number)
    lists = {
        split: path
        for split, names in _FLAT.items()
        if (path := official.find(*(name.format(k=number) for name in names)))
    }
    if not lists:
        raise DataError(
            f"{folder} holds neither <class>_test_split{number}.txt nor trainlist{number:02d}.txt and "
            f"testlist{number:02d}.txt; unpack the data set's test_train_splits.rar there"
        )
    return _read_flat_lists(lists, official=official)


def _read_class_files(files: list[Path], *, number: int) -> Listing:
    classes = tuple(sorted(path.name.removesuffix(f"_test_split{number}.txt") for path in files))
    notes = () if len(classes) == NUM_CLASSES else (f"{len(classes)} classes have files; HMDB51 has {NUM_CLASSES}",)
    id_of = {name: index for index, name in enumerate(classes)}
    if len(id_of) < len(files):
        raise DataError(f"{files[0].parent} holds {len(files)} files for {len(id_of)} classes; keep one for each")
    by_class = {path.name.removesuffix(f"_test_split{number}.txt"): path for path in files}
    videos = (video for name in classes for video in _read_class_file(by_class[name], label_id=id_of[name]))
    return Listing(classes, tuple(videos), tuple(files), notes)


def _read_class_file(path: Path, *, label_id: int) -> Iterator[Annotation]:
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"\s*(\S.*?)\s+([0-9]+)\s*", line)
        if not match or match[2] not in (*_SPLIT_OF, _UNUSED):
            raise DataError(
                f"{path} line {number} is {line.strip()!r}; expected a file and 1 for training, 2 for testing or 0"
            )
        if match[2] != _UNUSED:
            yield Annotation(match[1], label_id, _SPLIT_OF[match[2]])


def _read_flat_lists(lists: dict[str, Path], *, official: Official) -> Listing:
    orders = _find_orders(official)
    classes = orders[0]
    videos, notes = [], []
    for split, path in lists.items():
        listed, base, order = _read_in_any(orders, path=path)
        notes += [f"{path.name} counts classes from 1"] if base else []
        notes += [f"{path.name} {_EXCHANGE_NOTE}"] if order != classes else []
        videos += [Annotation(video, classes.index(order[label_id]), split) for video, label_id in listed]
    if absent := [split for split in _FLAT if split not in lists]:
        notes.append(f"there is no list for {list_some(absent)}")
    files = (*lists.values(), *filter(None, (official.labels,)))
    return Listing(classes, tuple(videos), files, tuple(notes))


def _read_in_any(
    orders: Sequence[tuple[str, ...]], *, path: Path
) -> tuple[tuple[tuple[str, int], ...], int, tuple[str, ...]]:
    """Read a list by the first order of classes that its paths agree with; by none, say what is wrong with the first.

    Videos come with the number from which the list counts, and with that order.
    """
    problems = []
    for order in orders:
        try:
            return *read_numbered_list(path, classes=order), order
        except DataError as error:
            problems.append(error)
    raise problems[0]


def _find_orders(official: Official) -> list[tuple[str, ...]]:
    """Find the orders that a list may count in: the one that is given, or the standard one and the other common one."""
    if official.labels is not None:
        return [read_class_list(official.labels).require_sound()]
    names = load_builtin_label_tables()["hmdb51"].originals
    return [names, tuple(_EXCHANGED.get(name, name) for name in names)]
