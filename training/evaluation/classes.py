"""Scoring a split by a model whose vocabulary is closed: by the logits of its classes, in the place of texts.

Every score comes from ``service.contract.classes``.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int64

from service.contract.classes import ClosedVocabulary, score_classes
from service.contract.errors import LabelError
from service.contract.labels import Label
from service.contract.wording import list_some
from training.config.model import ModelConfig
from training.data.annotations import VideoData
from training.data.splits import opposite_label_ids, select_split
from training.errors import SettingError
from training.evaluation.embed import EmbeddedSplit
from training.evaluation.protocols import Measured, ScoredSplit, SplitScores, measure

CLASSES_READING = "classes"
_ADVICE = "train it with the cosine head (--set head=cosine), which takes any label"


def classify_split(
    embed: Callable[..., EmbeddedSplit], *, classes: Sequence[Label], data: VideoData, split: str
) -> ScoredSplit:
    """Score all classes for every video of a split, whose logits ``embed(split=...)`` gives.

    Raises:
        SettingError: a label of the split is no class; its videos are named.
        DataError: the data has no such split, or a video does not decode.
    """
    class_ids = find_class_ids(classes, data=data, split=split)
    embedded = replace(embed(split=split), label_ids=class_ids)
    scores = score_split_classes(embedded)
    accuracy = measure(
        scores, embedded, reading=CLASSES_READING, fusion_lambda=None, opposites=opposite_label_ids(classes)
    )
    return ScoredSplit(embedded=embedded, labels=tuple(classes), scores=scores, accuracies=(accuracy,))


def score_split_classes(embedded: EmbeddedSplit) -> SplitScores:
    """Score every class for every video by its logits: softmax of each view, then the mean over the views."""
    all_classes = np.arange(embedded.features.shape[-1], dtype=np.int64)
    return SplitScores(tuple(score_classes(logits, indices=all_classes) for logits in embedded.features))


def find_class_ids(classes: Sequence[Label], *, data: VideoData, split: str) -> Int64[np.ndarray, " N"]:
    """Find the class of every video of a split, by the name of its label.

    Raises:
        SettingError: a label is no class, or not one alone; its videos are named.
        DataError: the data has no such split.
    """
    annotations = select_split(data, split)
    vocabulary = ClosedVocabulary(classes)
    found = {label_id: _find(vocabulary, data.labels[label_id]) for label_id in {each.label_id for each in annotations}}
    if outside := [each for each in annotations if found[each.label_id] is None]:
        named = list_some(outside, render=lambda each: f"{each.video} ({data.labels[each.label_id]})")
        raise SettingError(
            f"{len(outside)} of {len(annotations)} videos of split {split!r} have labels that are none of the run's "
            f"{len(classes)} classes: {named}; its vocabulary is closed: name a split of its classes, or {_ADVICE}"
        )
    return np.array([found[each.label_id] for each in annotations], dtype=np.int64)


def refuse_lambda(fusion_lambda: float | None) -> None:
    """Check that a closed vocabulary is given no weight of English.

    Raises:
        SettingError: there is one.
    """
    if fusion_lambda is not None:
        raise SettingError(
            f"lambda is {fusion_lambda}, but the run's vocabulary is closed: its classes are not compared with text; "
            "leave --lambda out"
        )


def require_open_vocabulary(config: ModelConfig, *, measured: Measured, asked: str) -> None:
    """Check that labels which a run never learned can be asked of the model that is measured.

    Raises:
        SettingError: its vocabulary is closed; the message says what was ``asked``.
    """
    if measured == "run" and config.is_closed:
        raise SettingError(f"{asked}, but the vocabulary of this run is closed: {_ADVICE}")


def _find(vocabulary: ClosedVocabulary, label: Label) -> int | None:
    try:
        return int(vocabulary.find([label])[0])
    except LabelError:
        return None
