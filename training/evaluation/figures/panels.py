"""Videos side by side in one picture, each with its frames in a line and maps over them in the lines below."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch.nn import functional

from training.evaluation.figures.style import VERMILION

# Frames that stand side by side before the next video begins a new line.
_FRAMES_ACROSS = 8


def lay_out_videos(num_videos: int, *, num_frames: int, num_lines: int) -> tuple[Figure, list[SubFigure]]:
    """Divide a figure into one part a video, of ``num_lines`` lines of frames and some text."""
    across = max(1, min(num_videos, _FRAMES_ACROSS // num_frames))
    down = -(-num_videos // across)
    cell = max(0.5, min(0.95, 9 / num_frames))
    size = (across * (num_frames * cell + 2.2), down * (num_lines * cell + 1.6) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subfigures(down, across, squeeze=False).ravel().tolist()[:num_videos]


def name_video(part: SubFigure, *, true_label: str, recognised_as: str) -> None:
    """Write a video's label above it, in another colour where another was recognised."""
    is_right = recognised_as == true_label
    verdict = "recognised" if is_right else f"recognised as “{recognised_as}”"
    part.suptitle(f"{true_label}\n{verdict}", fontsize=8.5, color="black" if is_right else VERMILION)


def draw_frames(line: Sequence[Axes], frames: UInt8[np.ndarray, "T S S 3"]) -> None:
    """Draw frames as they are."""
    for axes, frame in zip(line, frames, strict=True):
        axes.imshow(frame)
        _hide_ticks(axes)
    name_line(line[0], "frame")


def draw_grey(axes: Axes, frame: UInt8[np.ndarray, "S S 3"], *, darkest: float = 0.0) -> None:
    """Draw a frame without its colours, as the ground of a map; its black is the grey ``darkest``, where white is 1."""
    axes.imshow(frame.mean(axis=2), cmap="gray", vmin=-255 * darkest / (1 - darkest), vmax=255)
    _hide_ticks(axes)


def enlarge(patches: Float32[np.ndarray, "rows columns"], *, size: int) -> Float32[np.ndarray, "S S"]:
    """Give every pixel its patch's value, bilinear between the patches' centres."""
    grown = functional.interpolate(torch.from_numpy(patches)[None, None], size=(size, size), mode="bilinear")
    return grown[0, 0].numpy()


def name_line(first: Axes, name: str) -> None:
    """Write what a line shows to the left of its first frame."""
    first.set_ylabel(name, fontsize=7, rotation=0, horizontalalignment="right", verticalalignment="center")


def _hide_ticks(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
