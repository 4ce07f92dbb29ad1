"""Where the last layer looks, frame by frame, with the adapters and without (Deng et al. 2024, Fig. 7).

Drawn is the attention of [CLS] to the patches in the last layer, averaged over heads; it is not rolled out over layers.
Both towers see the same frames; the one without adapters is CLIP as it was before the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from training.evaluation.figures.attention import ClsAttention, read_cls_attention
from training.evaluation.figures.panels import draw_frames, draw_grey, enlarge, lay_out_videos, name_line, name_video
from training.evaluation.figures.study import Study
from training.evaluation.figures.style import BLUE
from training.evaluation.figures.videos import ShownVideo, read_shown_videos
from training.models.video_clip import VideoCLIP

_COLOURS = "inferno"
_OPACITY = 0.8


@dataclass(frozen=True, kw_only=True)
class AttentionMaps:
    """One video: its frames, what [CLS] attends to in each tower, and the weight of each frame for the true label.

    A model that pools frames inside its tower gives the one feature that leaves it one weight.
    """

    video: str
    true_label: str
    recognised_as: str
    frames: UInt8[np.ndarray, "T S S 3"]
    frozen: Float32[np.ndarray, "T tokens"]
    adapted: Float32[np.ndarray, "T adapted_tokens"]
    frozen_patches: Float32[np.ndarray, "T rows columns"]
    adapted_patches: Float32[np.ndarray, "T rows columns"]
    frame_weights: Float32[np.ndarray, " K"]


def map_attention(study: Study) -> list[AttentionMaps]:
    """Map the attention of the first video of each of the first labels of the split.

    Raises:
        DataError: a video does not decode.
    """
    return [_map(study, shown) for shown in read_shown_videos(study)]


def collect_arrays(maps: Sequence[AttentionMaps]) -> dict[str, np.ndarray]:
    """Return the numbers behind the figure; videos stand first."""
    names = ("frames", "frozen", "adapted", "frozen_patches", "adapted_patches", "frame_weights")
    texts = ("video", "true_label", "recognised_as")
    return {name: np.stack([getattr(each, name) for each in maps]) for name in names} | {
        name: np.array([getattr(each, name) for each in maps]) for name in texts
    }


def draw_attention(maps: Sequence[AttentionMaps]) -> Figure:
    """Draw for each video its frames, both maps over them on one colour scale, and the weights of the frames."""
    figure, parts = lay_out_videos(len(maps), num_frames=len(maps[0].frames), num_lines=3)
    for part, own in zip(parts, maps, strict=True):
        _draw_video(part, own)
    title = "Attention of [CLS] to patches, last layer, mean of heads"
    if _weighs_frames(maps[0]):
        title += "\nW: weight of a frame for the true label (dashed: all equal)"
    figure.suptitle(title, fontsize=9.5)
    return figure


def _map(study: Study, shown: ShownVideo) -> AttentionMaps:
    frozen, adapted = _read(study.frozen, shown.frames), _read(study.model, shown.frames)
    return AttentionMaps(
        video=shown.video,
        true_label=shown.true_label,
        recognised_as=shown.recognised_as,
        frames=shown.frames,
        frozen=_array(frozen.weights),
        adapted=_array(adapted.weights),
        frozen_patches=_array(frozen.patches),
        adapted_patches=_array(adapted.patches),
        frame_weights=shown.scores.frame_weights[0, shown.label_id],
    )


def _read(model: VideoCLIP, frames: UInt8[np.ndarray, "T S S 3"]) -> ClsAttention:
    device = next(model.parameters()).device
    return read_cls_attention(model.video, torch.from_numpy(frames).to(device)[None])


def _array(attention: Tensor) -> Float32[np.ndarray, "T ..."]:
    return attention[0].float().numpy(force=True)


def _draw_video(part: SubFigure, maps: AttentionMaps) -> None:
    weighs_frames = _weighs_frames(maps)
    heights = (1, 1, 1, 0.55) if weighs_frames else (1, 1, 1)
    grid = part.subplots(len(heights), len(maps.frames), squeeze=False, height_ratios=heights)
    rows = {"without adapters": maps.frozen_patches, "with adapters": maps.adapted_patches}
    top = max(float(patches.max()) for patches in rows.values())
    draw_frames(list(grid[0]), maps.frames)
    for line, (name, patches) in zip(grid[1:3], rows.items(), strict=True):
        for axes, frame, own in zip(line, maps.frames, patches, strict=True):
            draw_grey(axes, frame)
            picture = axes.imshow(enlarge(own, size=len(frame)), cmap=_COLOURS, vmin=0, vmax=top, alpha=_OPACITY)
        share = patches.sum(axis=(1, 2)).mean()
        name_line(line[0], f"{name}\n{share:.0%} on patches")
    # Beside all rows, so that the columns stay in line; on black, as most of a map lies on a dark frame.
    bar = part.colorbar(picture, ax=grid.ravel().tolist(), shrink=0.6, pad=0.02)
    bar.ax.tick_params(labelsize=6)
    bar.ax.set_facecolor("black")
    if weighs_frames:
        _draw_weights(list(grid[3]), maps.frame_weights)
    name_video(part, true_label=maps.true_label, recognised_as=maps.recognised_as)


def _weighs_frames(maps: AttentionMaps) -> bool:
    return len(maps.frame_weights) == len(maps.frames)


def _draw_weights(line: list[Axes], weights: Float32[np.ndarray, " T"]) -> None:
    """Draw each frame's weight as a bar below it; the dashed line is the weight that all would have if none counted."""
    for axes, weight in zip(line, weights.tolist(), strict=True):
        axes.bar([0], [weight], width=0.5, color=BLUE)
        axes.axhline(1 / len(weights), color="0.4", linewidth=0.8, linestyle="--")
        axes.set(xlim=(-0.5, 0.5), ylim=(0, 1.25 * max(weights.max(), 1 / len(weights))), xticks=[], yticks=[])
        axes.set_xlabel(f"{weight:.2f}", fontsize=6.5, labelpad=2)
        axes.spines[["left", "right", "top"]].set_visible(False)
    name_line(line[0], "weight W")
