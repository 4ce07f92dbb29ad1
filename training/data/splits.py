"""Which annotations and labels belong to a split, and which labels are each other in a mirror or played backwards."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from service.contract.labels import Label, text_key
from training.data.annotations import Annotation, VideoData
from training.data.motion_shapes import motion_shapes_labels
from training.errors import DataError

NO_MIRROR = -1
NO_OPPOSITE = -1
# Words that a mirror turns into each other.
_MIRRORED = {
    "left": "right",
    "clockwise": "counter-clockwise",
    "counterclockwise": "clockwise",
    "anticlockwise": "clockwise",
    "anti-clockwise": "clockwise",
}
_OPPOSITE = {**{b: a for a, b in _MIRRORED.items() if b != "clockwise"}, **_MIRRORED}
_DIRECTION = re.compile(rf"\b(?:{'|'.join(sorted(_OPPOSITE, key=len, reverse=True))})\b")


def select_split(data: VideoData, split: str) -> tuple[Annotation, ...]:
    """Select a split's annotations, in the order of the table.

    Raises:
        DataError: the data has no such split; the message lists those it has.
    """
    chosen = tuple(each for each in data.annotations if each.split == split)
    if not chosen:
        known = sorted({each.split for each in data.annotations})
        raise DataError(f"split is {split!r}, but {data.directory} has {', '.join(known)}; choose one of these")
    return chosen


def split_label_ids(data: VideoData, split: str) -> frozenset[int]:
    """Find the labels that occur in a split; so base and novel labels are told apart by their videos.

    Raises:
        DataError: the data has no such split.
    """
    return frozenset(each.label_id for each in select_split(data, split))


def keep_labels(data: VideoData, label_ids: Collection[int]) -> VideoData:
    """Narrow data to some labels and their videos; the labels keep their order and are numbered anew."""
    new_id = {label_id: index for index, label_id in enumerate(sorted(label_ids))}
    annotations = (
        replace(each, label_id=new_id[each.label_id]) for each in data.annotations if each.label_id in new_id
    )
    return replace(data, labels=tuple(data.labels[each] for each in new_id), annotations=tuple(annotations))


def mirrored_label_ids(labels: Sequence[Label]) -> Int64[np.ndarray, " L"]:
    """Find the label that each label becomes in a mirror: itself, its counterpart, or ``NO_MIRROR``.

    Labels without a word of direction in their English text stay themselves. "moving left" becomes "moving right" if
    that label exists; otherwise such a video must not be mirrored.
    """
    id_of = {text_key(label.en): index for index, label in enumerate(labels) if label.en is not None}
    mirrored = [
        index if label.en is None else id_of.get(_mirror_text(label.en), NO_MIRROR)
        for index, label in enumerate(labels)
    ]
    return np.array(mirrored, dtype=np.int64)


def opposite_label_ids(labels: Sequence[Label]) -> Int64[np.ndarray, " L"]:
    """Find the label that each label becomes when its video is played backwards, or ``NO_OPPOSITE``.

    Such pairs are known of MotionShapes alone.
    """
    known = motion_shapes_labels()
    reversed_text = {each.en: known[each.reversed_id].en for each in known}
    id_of = {label.en: index for index, label in enumerate(labels)}
    opposites = [id_of.get(reversed_text.get(label.en or "", ""), NO_OPPOSITE) for label in labels]
    return np.array(opposites, dtype=np.int64)


def _mirror_text(text: str) -> str:
    return _DIRECTION.sub(lambda match: _OPPOSITE[match[0]], text_key(text))
