"""Lists of ``<path> <class number>`` lines, where nothing but the content says whether they count from 0 or 1."""

from collections.abc import Sequence
from pathlib import Path

from service.contract.wording import list_some
from training.data.class_order import find_disagreements
from training.data.split_files import read_split_list
from training.errors import DataError


def read_numbered_list(path: Path, *, classes: Sequence[str]) -> tuple[tuple[tuple[str, int], ...], int]:
    """Read videos with class numbers from 0 on, and from which number the file counts.

    A 0 or the highest number decides it; failing that, what the paths say of the classes does.

    Raises:
        DataError: a line is wrong, the paths name other classes than the numbers in either way, or nothing tells from
            where the file counts.
    """
    listed = read_split_list(path, num_labels=len(classes) + 1)
    numbers = {number for _, number in listed}
    possible = [base for base in (0, 1) if min(numbers) >= base and max(numbers) - base < len(classes)]
    if not possible:
        raise DataError(
            f"{path} has class numbers from {min(numbers)} to {max(numbers)} and there are {len(classes)} classes, so "
            "that it counts neither from 0 nor from 1; give it the right list of classes"
        )
    videos = {base: tuple((video, number - base) for video, number in listed) for base in possible}
    faults = {base: find_disagreements(classes, videos[base]) for base in possible}
    sound = [base for base in possible if not faults[base]]
    if not sound:
        fewest = min(possible, key=lambda base: len(faults[base]))
        named = list_some(faults[fewest], num_named=2, separator="; ")
        raise DataError(
            f"{path} numbers {len(faults[fewest])} classes differently than their list: {named}. Put the "
            "classes into the order of the numbers"
        )
    if len(sound) > 1:
        raise DataError(
            f"{path} may count classes from 0 or from 1: its numbers are {min(numbers)} to {max(numbers)} of "
            f"{len(classes)} classes, and its paths name none; import it as lists, with a list of classes and their ids"
        )
    return videos[sound[0]], sound[0]
