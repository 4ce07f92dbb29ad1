"""t-SNE of video embeddings with and without adapters, and how well their clusters agree with the labels.

A video's embedding is the mean of its frame features, of unit length. The weights that words give to frames are left
out, because they differ from label to label.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE
from sklearn.metrics import homogeneity_completeness_v_measure

from service.contract.labels import Label
from training.errors import DataError
from training.evaluation.figures.style import COLOURS, MARKERS, LabelGroups, label_name

_PERPLEXITY = 30.0
_MIN_VIDEOS = 3
_NUM_STARTS = 10
# A spread of unit vectors that is rounding alone.
_COINCIDENT = 1e-6
# Above this many labels colours and marks stop being told apart.
_MAX_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Videos in the plane, and the agreement of k-means clusters of their embeddings with their labels."""

    points: Float32[np.ndarray, "N 2"]
    perplexity: float
    num_clusters: int
    homogeneity: float
    completeness: float
    v_measure: float


def pool_frames(features: Float32[np.ndarray, "N V K D"]) -> Float32[np.ndarray, "N D"]:
    """Average frames and views, at unit length."""
    mean = features.mean(axis=(1, 2))
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def project(embeddings: Float32[np.ndarray, "N D"], label_ids: Int64[np.ndarray, " N"], *, seed: int) -> Projection:
    """Project embeddings by t-SNE, and cluster them, before projection, into as many clusters as there are labels.

    The perplexity is 30, or a third of the other videos where they are few.

    Raises:
        DataError: fewer than three videos.
    """
    num_videos = len(embeddings)
    if num_videos < _MIN_VIDEOS:
        raise DataError(
            f"t-SNE was asked of {num_videos} videos; it needs at least {_MIN_VIDEOS}, so choose a larger split"
        )
    perplexity = min(_PERPLEXITY, (num_videos - 1) / 3)
    # Where all videos coincide there is no principal direction to start from.
    init = "pca" if embeddings.std(axis=0).max() > _COINCIDENT else "random"
    points = TSNE(perplexity=perplexity, init=init, random_state=seed).fit_transform(embeddings)
    num_clusters = len(np.unique(label_ids))
    with warnings.catch_warnings():
        # Videos that coincide fall into fewer clusters; the scores say so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(num_clusters, n_init=_NUM_STARTS, random_state=seed).fit_predict(embeddings)
    homogeneity, completeness, v_measure = homogeneity_completeness_v_measure(label_ids, clusters)
    return Projection(
        points=points.astype(np.float32),
        perplexity=perplexity,
        num_clusters=num_clusters,
        homogeneity=float(homogeneity),
        completeness=float(completeness),
        v_measure=float(v_measure),
    )


def describe_projection(projection: Projection) -> dict[str, Any]:
    """Return a projection as JSON values."""
    return {**vars(projection), "points": projection.points.tolist()}


def draw_projections(
    projections: dict[str, Projection],
    label_ids: Int64[np.ndarray, " N"],
    *,
    labels: Sequence[Label],
    groups: LabelGroups | None,
) -> Figure:
    """Draw projections side by side, coloured by label, or by group where labels are many and groups are known."""
    names, ids = _colour_by(label_ids, labels=labels, groups=groups)
    figure = Figure(figsize=(5 * len(projections), 5.6), layout="constrained")
    panels = figure.subplots(1, len(projections), squeeze=False)[0]
    for axes, (title, projection) in zip(panels, projections.items(), strict=True):
        _scatter(axes, projection.points, ids, names=names)
        axes.set_title(
            f"{title}\nk-means, k = {projection.num_clusters}: homogeneity {projection.homogeneity:.2f}, "
            f"completeness {projection.completeness:.2f}, V-measure {projection.v_measure:.2f}",
            fontsize=8.5,
        )
    if len(names) <= _MAX_NAMED:
        handles, texts = panels[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside lower center", ncols=min(6, len(names)), fontsize=8, frameon=False)
    return figure


def _colour_by(
    label_ids: Int64[np.ndarray, " N"], *, labels: Sequence[Label], groups: LabelGroups | None
) -> tuple[list[str], Int64[np.ndarray, " N"]]:
    """Name what is coloured, and say which of them each video is."""
    present, ids = np.unique(label_ids, return_inverse=True)
    if len(present) > _MAX_NAMED and groups is not None:
        return list(groups.names), groups.group_ids[label_ids]
    return [label_name(labels, label_id) for label_id in present.tolist()], ids.astype(np.int64)


def _scatter(
    axes: Axes, points: Float32[np.ndarray, "N 2"], ids: Int64[np.ndarray, " N"], *, names: Sequence[str]
) -> None:
    for index, name in enumerate(names):
        own = points[ids == index]
        marker = MARKERS[index // len(COLOURS) % len(MARKERS)]
        axes.scatter(
            own[:, 0], own[:, 1], s=14, color=COLOURS[index % len(COLOURS)], marker=marker, linewidth=0, label=name
        )
    # The axes of t-SNE have no unit and no meaning.
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
