"""Whether a list of labels and a list of videos mean the same classes by the same numbers.

Many collections name the class of a video in its path: a folder of the class, or a file such as
``v_Archery_g01_c01.avi``. Where the paths say another class than the label list, one of the two files is in another
order: published lists of HMDB51 have this fault.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from service.contract.labels import text_key
from service.contract.wording import list_some
from training.errors import DataError

# Paths that name a class by chance are few; those that do so on purpose are nearly all.
_NAMED_SHARE = 0.5
_BREAK = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Disagreement:
    """A class whose videos are named after another one; ``name`` stands in the label list, ``named`` in the paths."""

    label_id: int
    name: str
    named: str
    num_named: int
    num_videos: int

    def __str__(self) -> str:
        return (
            f"{self.label_id} is {self.name!r}, but {self.num_named} of its {self.num_videos} videos say {self.named!r}"
        )


def name_key(name: str) -> str:
    """The form under which two spellings name the same class: folded, without blanks and punctuation.

    So "ApplyEyeMakeup", "apply_eye_makeup" and "apply eye makeup" are one class.
    """
    return "".join(_words(name))


def find_disagreements(names: Sequence[str | None], videos: Iterable[tuple[str, int]]) -> tuple[Disagreement, ...]:
    """Find the classes of ``names`` whose videos, given as paths with label ids, are named after other classes.

    Only exchanged classes count: the class that the paths name must not be what its own videos are named after. So
    "walking" and "walking dog" agree with folders ``walking`` and ``dog_walking``. Paths without a class say nothing.
    """
    ids = {name_key(name): index for index, name in enumerate(names) if name is not None and name_key(name)}
    longest = max((len(_words(name)) for name in names if name is not None), default=1)
    votes: dict[int, Counter[int | None]] = defaultdict(Counter)
    for path, label_id in videos:
        votes[label_id][_find_class(path, ids=ids, longest=longest)] += 1
    named = dict(_decide(votes))
    return tuple(
        Disagreement(label_id, str(names[label_id]), str(names[other]), votes[label_id][other], votes[label_id].total())
        for label_id, other in sorted(named.items())
        if other != label_id and named.get(other) != other and names[label_id] is not None
    )


def check_class_order(names: Sequence[str | None], videos: Iterable[tuple[str, int]], *, where: str) -> None:
    """Check that labels and videos number the classes alike.

    Raises:
        DataError: classes are exchanged; they are named, with what the paths say.
    """
    if found := find_disagreements(names, videos):
        raise DataError(
            f"{where} number {len(found)} classes differently: {list_some(found, separator='; ')}. Put "
            "the labels into the order of the videos' numbers"
        )


def _decide(votes: Mapping[int, Counter[int | None]]) -> Iterator[tuple[int, int]]:
    """Say which class the videos of each class are named after, where most of them are named after one."""
    for label_id, own in votes.items():
        ((winner, count),) = own.most_common(1)
        if winner is not None and count > _NAMED_SHARE * own.total():
            yield label_id, winner


def _find_class(path: str, *, ids: Mapping[str, int], longest: int) -> int | None:
    """Find the class that a path names: its folder, or else those words of the file name that end last, the longest."""
    place = PurePosixPath(path)
    folder = ids.get(name_key(place.parent.name))
    if folder is not None:
        return folder
    words = _words(place.stem)
    for stop in range(len(words), 0, -1):
        for start in range(max(0, stop - longest), stop):
            found = ids.get("".join(words[start:stop]))
            if found is not None:
                return found
    return None


def _words(text: str) -> list[str]:
    return [word for word in _BREAK.split(text_key(text)) if word]
