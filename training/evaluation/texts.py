"""Scoring a split by a model that reads labels: by the texts of all labels of the data, in every language it knows.

Every score comes from ``service.contract.scoring``. A closed vocabulary is scored in ``classes``.
"""

from collections.abc import Callable

from service.contract.manifest import Lambda
from service.contract.scoring import LabelBank
from training.config.model import ModelConfig
from training.data.annotations import VideoData
from training.data.splits import opposite_label_ids
from training.evaluation.embed import EmbeddedSplit, embed_complete_labels
from training.evaluation.protocols import (
    LambdaSweep,
    ScoredSplit,
    best_lambda,
    list_readings,
    measure,
    score_split,
    sweep_lambda,
)
from training.models.video_clip import VideoCLIP


def score_by_texts(
    embed: Callable[..., EmbeddedSplit],
    model: VideoCLIP,
    *,
    data: VideoData,
    split: str,
    select_on: str,
    given: Lambda | None = None,
) -> ScoredSplit:
    """Score a split, which ``embed(split=...)`` gives, in every reading of the labels.

    The weight of English is the one that is ``given``, else the best on the split ``select_on``.

    Raises:
        DataError: the data lacks a split or a label a language, or videos do not decode.
    """
    bank = embed_complete_labels(model, data.labels)
    fusion, sweep = given or Lambda(value=1.0, chosen="no Chinese branch"), None
    if given is None and bank.chinese is not None:
        sweep = _sweep(embed(split=select_on), bank, config=model.config, split=select_on)
        fusion = best_lambda(sweep.top1, split=select_on)
    embedded = embed(split=split)
    readings = list_readings(fusion_lambda=fusion.value, has_chinese=bank.chinese is not None)
    scores = [score_split(embedded, bank, config=model.config, reading=reading) for reading in readings]
    opposites = opposite_label_ids(data.labels)
    accuracies = tuple(
        measure(own, embedded, reading=reading.name, fusion_lambda=reading.fusion_lambda, opposites=opposites)
        for own, reading in zip(scores, readings, strict=True)
    )
    return ScoredSplit(
        embedded=embedded,
        labels=data.labels,
        scores=scores[-1],
        accuracies=accuracies,
        texts=bank.english,
        fusion=fusion,
        sweep=sweep,
    )


def _sweep(selection: EmbeddedSplit, bank: LabelBank, *, config: ModelConfig, split: str) -> LambdaSweep:
    top1 = sweep_lambda(selection, bank, config=config)
    return LambdaSweep(top1=top1, split=split, num_videos=len(selection.videos))
