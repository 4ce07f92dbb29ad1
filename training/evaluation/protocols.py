"""Evaluation protocols: which model, on which split, scored in which languages.

Every score comes from ``service.contract.scoring``. Accuracies of score tables are in ``metrics``, files in ``report``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64

from service.contract.labels import Label
from service.contract.manifest import Lambda
from service.contract.scoring import LabelBank, Scores, score_labels
from training.config.model import ModelConfig
from training.evaluation.embed import EmbeddedSplit
from training.evaluation.metrics import pair_accuracy, top_k_accuracy

LAMBDA_STEPS = 20
UNTUNED_LAMBDA = 0.5
BASE_TO_NOVEL, ZERO_SHOT = "base_to_novel", "zero_shot"
Measured = Literal["run", "frozen", "vanilla"]
BARE_TEMPLATE = "{}"


@dataclass(frozen=True)
class Protocol:
    """What is measured: a split, scored over all labels of the data, by the run's model or by its frozen CLIP.

    The frozen model has no adapters and averages its frames; ``vanilla`` is the same with English labels as they are,
    in no sentence. With a ``novel_split`` both splits are scored, each over the labels that occur in it alone. A
    report goes to its ``folder`` among the evaluations of the run.
    """

    name: str
    split: str
    model: Measured = "run"
    novel_split: str | None = None
    folder: str = ""

    @property
    def splits(self) -> str:
        """The splits that are reported, for readers."""
        return self.split if self.novel_split is None else f"{self.split} and {self.novel_split}"

    def for_model(self, model: Measured) -> "Protocol":
        """Measure another model by this protocol, under a name that says so."""
        return replace(self, name=self.name if model == "run" else f"{model}_{self.name}", model=model)


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        each.name: each
        for each in (
            Protocol("open_vocabulary", "test"),
            Protocol("novel_compositions", "novel"),
            Protocol("frozen_baseline", "test", "frozen"),
            Protocol(BASE_TO_NOVEL, "test", novel_split="novel"),
            Protocol(ZERO_SHOT, "test"),
        )
    }
)


@dataclass(frozen=True)
class Reading:
    """One way to read the labels: the weight of English, and whether English words weigh the frames."""

    name: str
    fusion_lambda: float
    weigh_words: bool


@dataclass(frozen=True)
class Accuracy:
    """Accuracies of one reading, as shares; ``pairs`` is None where no label has an opposite in time.

    ``fusion_lambda`` is None for the classes of a closed vocabulary, which are compared with no text.
    """

    reading: str
    fusion_lambda: float | None
    top1: float
    top5: float
    pairs: float | None


@dataclass(frozen=True)
class LambdaPoint:
    """Top-1 of the fused reading at one weight of English, as a share."""

    fusion_lambda: float
    top1: float


@dataclass(frozen=True, kw_only=True)
class LambdaSweep:
    """Top-1 of the fused reading on the split where lambda is chosen, for every weight of English."""

    top1: dict[float, float]
    split: str
    num_videos: int

    @property
    def curve(self) -> tuple[LambdaPoint, ...]:
        """The points, from Chinese alone to English alone."""
        return tuple(LambdaPoint(*point) for point in self.top1.items())


@dataclass(frozen=True)
class SplitScores:
    """Scores of all labels for every video of a split."""

    per_video: tuple[Scores, ...]

    @property
    def score(self) -> Float32[np.ndarray, "N L"]:
        """Scores, averaged over views."""
        return np.stack([each.score for each in self.per_video])

    @property
    def ranking(self) -> Int64[np.ndarray, "N L"]:
        """Labels of every video from best to worst."""
        return np.stack([each.ranking for each in self.per_video])


@dataclass(frozen=True, kw_only=True)
class ScoredSplit:
    """A split as a model scores it, with the accuracies of every reading.

    ``scores`` are those of the last reading, which the service uses, and ``embedded`` numbers labels as ``labels`` do.
    ``texts`` are the labels' English embeddings, where they were read. A closed vocabulary has no ``fusion``; without a
    ``sweep`` lambda was given, or the model has no Chinese branch.
    """

    embedded: EmbeddedSplit
    labels: tuple[Label, ...]
    scores: SplitScores
    accuracies: tuple[Accuracy, ...]
    texts: Float32[np.ndarray, "L D"] | None = None
    fusion: Lambda | None = None
    sweep: LambdaSweep | None = None


def list_readings(*, fusion_lambda: float, has_chinese: bool) -> tuple[Reading, ...]:
    """List how a bilingual model is read: each language alone, fused, and Chinese where no English text is known."""
    english = Reading("English", 1.0, True)
    if not has_chinese:
        return (english,)
    return (
        english,
        Reading("Chinese", 0.0, True),
        Reading("Chinese, frames averaged", 0.0, False),
        Reading("fused", fusion_lambda, True),
    )


def score_split(embedded: EmbeddedSplit, bank: LabelBank, *, config: ModelConfig, reading: Reading) -> SplitScores:
    """Score every label for every video of a split."""
    scoring = config.scoring.fused_by(Lambda(value=reading.fusion_lambda, chosen=reading.name))
    return SplitScores(
        tuple(
            score_labels(
                features,
                bank,
                scoring=scoring,
                fusion_lambda=reading.fusion_lambda,
                weigh_words=reading.weigh_words,
            )
            for features in embedded.features
        )
    )


def measure(
    scores: SplitScores,
    embedded: EmbeddedSplit,
    *,
    reading: str,
    fusion_lambda: float | None,
    opposites: Int64[np.ndarray, " L"],
) -> Accuracy:
    """Compute the accuracies of one reading."""
    ranking = scores.ranking
    return Accuracy(
        reading=reading,
        fusion_lambda=fusion_lambda,
        top1=top_k_accuracy(ranking, embedded.label_ids, k=1),
        top5=top_k_accuracy(ranking, embedded.label_ids, k=5),
        pairs=pair_accuracy(scores.score, embedded.label_ids, opposites=opposites),
    )


def sweep_lambda(embedded: EmbeddedSplit, bank: LabelBank, *, config: ModelConfig) -> dict[float, float]:
    """Measure top-1 for every weight of English from 0 to 1 in steps of 0.05."""
    values = [step / LAMBDA_STEPS for step in range(LAMBDA_STEPS + 1)]
    return {value: _top1(embedded, bank, config=config, value=value) for value in values}


def best_lambda(top1: Mapping[float, float], *, split: str) -> Lambda:
    """Choose from a sweep over a validation split; among equals the one nearest to 0.5."""
    value = min(top1, key=lambda each: (-top1[each], abs(each - UNTUNED_LAMBDA)))
    return Lambda(value=value, chosen=f"best top-1 ({top1[value]:.4f}) on split {split!r} among 0, 0.05 ... 1")


def _top1(embedded: EmbeddedSplit, bank: LabelBank, *, config: ModelConfig, value: float) -> float:
    scores = score_split(embedded, bank, config=config, reading=Reading("fused", value, True))
    return top_k_accuracy(scores.ranking, embedded.label_ids, k=1)
