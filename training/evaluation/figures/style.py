"""How figures look and how they reach a file: colours, names of labels, groups of labels, writing.

The colours are those of Okabe and Ito (2008), which people with any colour vision can tell apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from service.contract.files import write_whole
from service.contract.labels import Label
from training.data.motion_shapes import motion_shapes_labels

BLUE, VERMILION, GREEN, ORANGE, PURPLE = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, "#56B4E9", "#000000", "#F0E442")
MARKERS = "o^sDvPX*"
_DOTS_PER_INCH = 150
_NAME_CHARACTERS = 36


@dataclass(frozen=True)
class LabelGroups:
    """Labels in groups, for figures in which the labels are too many to be told apart."""

    names: tuple[str, ...]
    group_ids: Int64[np.ndarray, " L"]


def group_labels(labels: Sequence[Label]) -> LabelGroups | None:
    """Group labels by the action they share, whatever performs it; that is known of MotionShapes alone, else None."""
    action_of = {each.en: each.action.name for each in motion_shapes_labels()}
    actions = [action_of.get(label.en or "") for label in labels]
    names = tuple(dict.fromkeys(each for each in actions if each is not None))
    if None in actions:
        return None
    return LabelGroups(names, np.array([names.index(each) for each in actions if each is not None], dtype=np.int64))


def label_name(labels: Sequence[Label], label_id: int) -> str:
    """Name a label by its English text, shortened, or by its number where it has none."""
    text = labels[label_id].en or f"label {label_id}"
    short = text if len(text) <= _NAME_CHARACTERS else f"{text[: _NAME_CHARACTERS - 1]}…"
    # matplotlib would read what stands between two of them as a formula.
    return short.replace("$", r"\$")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, complete or not at all."""
    with write_whole(path) as unfinished:
        FigureCanvasAgg(figure).print_figure(unfinished, format="png", dpi=_DOTS_PER_INCH)


def save_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """Write arrays as NPZ, complete or not at all."""
    with write_whole(path) as unfinished:
        np.savez_compressed(unfinished, allow_pickle=False, **arrays)
