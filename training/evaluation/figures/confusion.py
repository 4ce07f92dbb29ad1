"""Which labels a model takes for which, by the fused ranking."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int64
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from service.contract.labels import Label
from training.evaluation.figures.style import LabelGroups, group_labels, label_name

# Above this many labels their names are too small to read; groups or numbers stand in their place.
_MAX_NAMED = 60
_NUM_NUMBERS = 20
_NUM_PAIRS = 20


@dataclass(frozen=True)
class Confusion:
    """Counts of videos by true label (rows) and first-ranked label (columns), over the labels that occur as either."""

    label_ids: Int64[np.ndarray, " C"]
    counts: Int64[np.ndarray, "C C"]


def count_confusion(
    predicted: Int64[np.ndarray, " N"], label_ids: Int64[np.ndarray, " N"], *, groups: LabelGroups | None
) -> Confusion:
    """Count videos; labels stand in their order, or group by group."""
    shown = np.union1d(predicted, label_ids).astype(np.int64)
    if groups is not None:
        shown = shown[np.argsort(groups.group_ids[shown], kind="stable")]
    place = {label_id: index for index, label_id in enumerate(shown.tolist())}
    counts = np.zeros((len(shown), len(shown)), dtype=np.int64)
    for true, guess in zip(label_ids.tolist(), predicted.tolist(), strict=True):
        counts[place[true], place[guess]] += 1
    return Confusion(shown, counts)


def describe_confusion(confusion: Confusion, *, labels: Sequence[Label]) -> dict[str, Any]:
    """Return the matrix and the pairs that are confused most often as JSON values."""
    names = [labels[index].en or labels[index].zh for index in confusion.label_ids.tolist()]
    counts = confusion.counts
    wrong = counts - np.diag(np.diag(counts))
    # Stable, so that pairs of equal counts keep the order of the matrix.
    order = np.argsort(-wrong.ravel(), kind="stable")[:_NUM_PAIRS]
    pairs = [divmod(cell, len(names)) for cell in order.tolist()]
    return {
        "num_videos": int(counts.sum()),
        "top1": float(np.trace(counts) / counts.sum()),
        "labels": names,
        "counts": counts.tolist(),
        "most_confused": [
            {
                "true": names[row],
                "predicted": names[column],
                "num_videos": int(wrong[row, column]),
                "share": float(wrong[row, column] / counts[row].sum()),
            }
            for row, column in pairs
            if wrong[row, column]
        ],
    }


def draw_confusion(confusion: Confusion, *, labels: Sequence[Label], title: str) -> Figure:
    """Draw shares of each true label's videos; a label that is only predicted has an empty, grey row."""
    num_labels = len(confusion.label_ids)
    is_named = num_labels <= _MAX_NAMED
    side = min(13.0, max(4.5, 2.5 + 0.19 * num_labels)) if is_named else 8.5
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    totals = confusion.counts.sum(axis=1, keepdims=True)
    shares = np.ma.masked_array(
        confusion.counts / np.maximum(totals, 1), np.broadcast_to(totals == 0, (num_labels,) * 2)
    )
    axes.set_facecolor("0.85")
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    figure.colorbar(picture, ax=axes, label="share of the true label's videos", shrink=0.7)
    groups = group_labels(labels)
    if is_named:
        names = [label_name(labels, index) for index in confusion.label_ids.tolist()]
        _name_ticks(axes, range(num_labels), names, size=7.0)
    elif groups is not None:
        _mark_groups(axes, groups.group_ids[confusion.label_ids], names=groups.names)
    else:
        places = range(0, num_labels, -(-num_labels // _NUM_NUMBERS))
        _name_ticks(axes, places, [f"label {confusion.label_ids[place]}" for place in places], size=8.0)
    axes.set_xlabel("recognised as")
    axes.set_ylabel("true label (grey: no video)" if (totals == 0).any() else "true label")
    axes.set_title(title, fontsize=10)
    return figure


def _name_ticks(axes: Axes, places: Sequence[int | float], names: Sequence[str], *, size: float) -> None:
    axes.set_xticks(places, names, rotation=90, fontsize=size)
    axes.set_yticks(places, names, fontsize=size)


def _mark_groups(axes: Axes, group_ids: Int64[np.ndarray, " C"], *, names: Sequence[str]) -> None:
    """Draw lines between the groups and name each at its middle."""
    present, starts, sizes = np.unique(group_ids, return_index=True, return_counts=True)
    for start in starts[1:].tolist():
        axes.axhline(start - 0.5, color="0.6", linewidth=0.6)
        axes.axvline(start - 0.5, color="0.6", linewidth=0.6)
    middles = (starts + (sizes - 1) / 2).tolist()
    _name_ticks(axes, middles, [names[index] for index in present.tolist()], size=9.0)
    axes.tick_params(length=0)
