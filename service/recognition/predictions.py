"""From scores to the answer: ranking, frame weights, and the records that an interface renders."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

from service.contract.decode import VideoInfo
from service.contract.labels import Label
from service.contract.languages import LanguagePlan
from service.contract.scoring import Scores
from service.recognition.video_cache import VideoFeatures


@dataclass(frozen=True)
class Prediction:
    """One label's place in the ranking; ``frame_weights`` (one a clip and time, sum 1) only where asked for."""

    label: Label
    probability: float
    score: float
    similarity_en: float | None
    similarity_zh: float | None
    frame_weights: tuple[float, ...] | None


@dataclass(frozen=True)
class SampledFrame:
    """One frame that was looked at, and its weight for the best label; all weights sum to 1."""

    index: int
    time_seconds: float
    weight: float
    thumbnail: str | None


@dataclass(frozen=True)
class CacheUse:
    """What did not have to be computed for an answer."""

    video_hit: bool
    label_hits: int
    label_misses: int


@dataclass(frozen=True)
class Recognition:
    """The answer to one question about one video; a closed vocabulary is scored in no language."""

    video_id: str
    info: VideoInfo
    degraded: str | None
    languages: LanguagePlan | None
    predictions: tuple[Prediction, ...]
    frames: tuple[SampledFrame, ...]
    cache: CacheUse
    warnings: tuple[str, ...]


def predict(
    scores: Scores, *, labels: tuple[Label, ...], video: VideoFeatures, top_k: int, explain: bool
) -> tuple[tuple[Prediction, ...], tuple[SampledFrame, ...]]:
    """Choose the best labels, and weigh the sampled frames for the first of them."""
    order = scores.ranking[:top_k]
    weights = _frame_weights(
        scores.frame_weights[:, order], num_clips=len(video.indices), num_times=video.indices.shape[1]
    )
    predictions = tuple(
        Prediction(
            label=labels[label],
            probability=float(scores.probability[label]),
            score=float(scores.score[label]),
            similarity_en=_at(scores.similarity_en, label),
            similarity_zh=_at(scores.similarity_zh, label),
            frame_weights=tuple(own.tolist()) if explain else None,
        )
        for label, own in zip(order.tolist(), weights, strict=True)
    )
    thumbnails = video.thumbnails if explain and video.thumbnails is not None else [None] * video.indices.size
    frames = tuple(
        SampledFrame(*frame)
        for frame in zip(
            video.indices.ravel().tolist(),
            video.time_seconds.ravel().tolist(),
            weights[0].tolist(),
            thumbnails,
            strict=True,
        )
    )
    return predictions, frames


def _frame_weights(
    weights: Float32[np.ndarray, "V L K"], *, num_clips: int, num_times: int
) -> Float[np.ndarray, "L frames"]:
    """Average over the crops of a clip and share among clips: one row a label, one column a clip and time.

    An encoder that pools inside gives one feature a view, so all its frames weigh the same.
    """
    num_labels = weights.shape[1]
    if weights.shape[2] != num_times:
        return np.full((num_labels, num_clips * num_times), 1.0 / (num_clips * num_times))
    by_clip = weights.astype(np.float64).reshape(num_clips, -1, num_labels, num_times).mean(axis=1) / num_clips
    return by_clip.swapaxes(0, 1).reshape(num_labels, -1)


def _at(similarities: Float32[np.ndarray, " L"] | None, label: int) -> float | None:
    return None if similarities is None else float(similarities[label])
