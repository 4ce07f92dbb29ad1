"""A split scored for its figures as the service would score it: by texts, or over a closed vocabulary's classes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.contract.labels import Label
from service.contract.manifest import Lambda
from training.data.annotations import VideoData
from training.evaluation.classes import classify_split
from training.evaluation.embed import EmbeddedSplit, embed_complete_labels
from training.evaluation.protocols import Reading, SplitScores, best_lambda, score_split, sweep_lambda
from training.models.label_bank import embed_labels
from training.models.video_clip import VideoCLIP


@dataclass(frozen=True, kw_only=True)
class LambdaSweep:
    """Top-1 on the selection split for every weight of English."""

    top1: dict[float, float]
    split: str
    num_videos: int


@dataclass(frozen=True, kw_only=True)
class StudiedSplit:
    """The videos of a split as a run's model embeds them, and their scores.

    ``labels`` are those that are scored, and those that the label ids of ``embedded`` number: the data's, or a closed
    vocabulary's classes. ``texts`` are their English embeddings, None where a class has no English text. ``sweep`` is
    None for a model without a Chinese branch, whose lambda is 1; a closed vocabulary has no lambda at all.
    """

    labels: tuple[Label, ...]
    texts: Float32[np.ndarray, "L D"] | None
    embedded: EmbeddedSplit
    sweep: LambdaSweep | None
    fusion: Lambda | None
    scores: SplitScores


def score_by_texts(
    model: VideoCLIP, *, data: VideoData, split: str, select_on: str, embed: Callable[..., EmbeddedSplit]
) -> StudiedSplit:
    """Score a split by the texts of all labels, with the lambda that is best on another; ``embed`` embeds a split.

    Raises:
        DataError: the data lacks a split or a label a language, or videos do not decode.
    """
    bank = embed_complete_labels(model, data.labels)
    embedded = embed(split=split)
    sweep, fusion = None, Lambda(value=1.0, chosen="no Chinese branch")
    if bank.chinese is not None:
        selection = embed(split=select_on)
        top1 = sweep_lambda(selection, bank, config=model.config)
        sweep = LambdaSweep(top1=top1, split=select_on, num_videos=len(selection.videos))
        fusion = best_lambda(top1, split=select_on)
    return StudiedSplit(
        labels=data.labels,
        texts=bank.english,
        embedded=embedded,
        sweep=sweep,
        fusion=fusion,
        scores=score_split(embedded, bank, config=model.config, reading=Reading("fused", fusion.value, True)),
    )


def score_by_classes(
    model: VideoCLIP, *, data: VideoData, split: str, embed: Callable[..., EmbeddedSplit]
) -> StudiedSplit:
    """Score a split by the logits of a closed vocabulary's classes; ``embed`` embeds a split.

    Raises:
        SettingError: a label of the split is no class; its videos are named.
        DataError: the data lacks the split, or videos do not decode.
    """
    own = classify_split(embed, classes=model.classes, data=data, split=split)
    has_english = all(each.en is not None for each in own.labels)
    return StudiedSplit(
        labels=own.labels,
        texts=embed_labels(model, own.labels, with_chinese=False).english if has_english else None,
        embedded=own.embedded,
        sweep=None,
        fusion=None,
        scores=own.scores,
    )
