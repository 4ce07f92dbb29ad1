"""Which videos of a data folder a recipe trains on, and which labels it learns: found once, and handed on."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from service.contract.labels import Label
from training.config.model import Recipe
from training.data.annotations import Annotation, VideoData
from training.data.few_shot import draw_shots
from training.data.splits import select_split


@dataclass(frozen=True)
class TrainingSet:
    """Videos in the order of their table, and the labels that are learned, in the order of theirs.

    A loss over all labels learns those with videos to train on: were novel labels among its wrong answers, they would
    be unlearned before they are met. A contrastive loss sees the labels of its batch alone, so all may stand there.
    """

    data: VideoData
    annotations: tuple[Annotation, ...]
    label_ids: tuple[int, ...]

    @classmethod
    def of(cls, recipe: Recipe, *, data: VideoData) -> "TrainingSet":
        """Find what a recipe trains on.

        Raises:
            DataError: the data has no such split, or a label has fewer videos than the recipe draws.
        """
        annotations = select_split(data, recipe.train_split)
        if recipe.num_shots is not None:
            annotations = draw_shots(annotations, labels=data.labels, num_shots=recipe.num_shots, seed=recipe.fit.seed)
        if recipe.model.adapters.loss == "contrastive":
            return cls(data, annotations, tuple(range(len(data.labels))))
        return cls(data, annotations, tuple(sorted({each.label_id for each in annotations})))

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """The labels that are learned."""
        return tuple(self.data.labels[each] for each in self.label_ids)

    @cached_property
    def videos(self) -> tuple[Path, ...]:
        """Where the videos lie."""
        return tuple(map(self.data.path_of, self.annotations))

    @property
    def targets(self) -> Int64[np.ndarray, " videos"]:
        """The label of every video, numbered among those that are learned."""
        return np.searchsorted(self.label_ids, [each.label_id for each in self.annotations])
