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
from torch.nn import functional

from service.contract.views import ViewPlan
from training.data.views import read_all_views
from training.evaluation.figures.attention import ClsAttention, read_cls_attention
from training.evaluation.figures.study import Study
from training.evaluation.figures.style import BLUE, VERMILION, label_name
from training.models.video_clip import VideoCLIP

_COLOURS = "inferno"
_OPACITY = 0.8
# Frames that stand side by side before the next video begins a new line.
_FRAMES_ACROSS = 8


@dataclass(frozen=True, kw_only=True)
class AttentionMaps:
    """One video: its frames, what [CLS] attends to in each tower, and the weight of each frame for the true label."""

    video: str
    true_label: str
    recognised_as: str
    frames: UInt8[np.ndarray, "T S S 3"]
    frozen: Float32[np.ndarray, "T tokens"]
    adapted: Float32[np.ndarray, "T adapted_tokens"]
    frozen_patches: Float32[np.ndarray, "T rows columns"]
    adapted_patches: Float32[np.ndarray, "T rows columns"]
    frame_weights: Float32[np.ndarray, " T"]


def map_attention(study: Study) -> list[AttentionMaps]:
    """Map the attention of the first video of each of the first labels of the split.

    Raises:
        DataError: a video does not decode.
    """
    rows = _first_of_each_label(study)
    videos = [study.data.videos_directory / study.embedded.videos[row] for row in rows]
    config = study.model.config
    views = read_all_views(
        videos,
        preprocessing=config.preprocessing,
        sampling=config.sampling,
        plan=ViewPlan(),
        num_workers=min(study.settings.num_workers, len(videos)),
    )
    return [_map(study, row=row, frames=own[0]) for row, own in zip(rows, views, strict=True)]


def collect_arrays(maps: Sequence[AttentionMaps]) -> dict[str, np.ndarray]:
    """Return the numbers behind the figure; videos stand first."""
    names = ("frames", "frozen", "adapted", "frozen_patches", "adapted_patches", "frame_weights")
    texts = ("video", "true_label", "recognised_as")
    return {name: np.stack([getattr(each, name) for each in maps]) for name in names} | {
        name: np.array([getattr(each, name) for each in maps]) for name in texts
    }


def draw_attention(maps: Sequence[AttentionMaps]) -> Figure:
    """Draw for each video its frames, both maps over them on one colour scale, and the weights of the frames."""
    num_frames = len(maps[0].frames)
    across = max(1, min(len(maps), _FRAMES_ACROSS // num_frames))
    down = -(-len(maps) // across)
    cell = max(0.5, min(0.95, 9 / num_frames))
    size = (across * (num_frames * cell + 2.2), down * (3 * cell + 1.6) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    parts = figure.subfigures(down, across, squeeze=False).ravel()
    for part, own in zip(parts, maps, strict=False):
        _draw_video(part, own)
    title = "Attention of [CLS] to patches, last layer, mean of heads"
    figure.suptitle(f"{title}\nW: weight of a frame for the true label (dashed: all equal)", fontsize=9.5)
    return figure


def _first_of_each_label(study: Study) -> list[int]:
    _, rows = np.unique(study.embedded.label_ids, return_index=True)
    return sorted(rows.tolist())[: study.settings.num_videos]


def _map(study: Study, *, row: int, frames: UInt8[np.ndarray, "T S S 3"]) -> AttentionMaps:
    frozen, adapted = _read(study.frozen, frames), _read(study.model, frames)
    scores, label_id = study.scores.per_video[row], int(study.embedded.label_ids[row])
    return AttentionMaps(
        video=study.embedded.videos[row],
        true_label=label_name(study.data.labels, label_id),
        recognised_as=label_name(study.data.labels, int(scores.ranking[0])),
        frames=frames,
        frozen=_array(frozen.weights),
        adapted=_array(adapted.weights),
        frozen_patches=_array(frozen.patches),
        adapted_patches=_array(adapted.patches),
        frame_weights=scores.frame_weights[0, label_id],
    )


def _read(model: VideoCLIP, frames: UInt8[np.ndarray, "T S S 3"]) -> ClsAttention:
    device = next(model.parameters()).device
    return read_cls_attention(model.video, torch.from_numpy(frames).to(device)[None])


def _array(attention: Tensor) -> Float32[np.ndarray, "T ..."]:
    return attention[0].float().numpy(force=True)


def _draw_video(figure: SubFigure, maps: AttentionMaps) -> None:
    num_frames = len(maps.frames)
    grid = figure.subplots(4, num_frames, squeeze=False, height_ratios=(1, 1, 1, 0.55))
    rows = {"without adapters": maps.frozen_patches, "with adapters": maps.adapted_patches}
    top = max(float(patches.max()) for patches in rows.values())
    for axes, frame in zip(grid[0], maps.frames, strict=True):
        axes.imshow(frame)
    for line, (name, patches) in zip(grid[1:3], rows.items(), strict=True):
        for axes, frame, own in zip(line, maps.frames, patches, strict=True):
            axes.imshow(frame.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            picture = axes.imshow(enlarge(own, size=len(frame)), cmap=_COLOURS, vmin=0, vmax=top, alpha=_OPACITY)
        share = patches.sum(axis=(1, 2)).mean()
        _name_row(line[0], f"{name}\n{share:.0%} on patches")
    # Beside all rows, so that the columns stay in line; on black, as most of a map lies on a dark frame.
    bar = figure.colorbar(picture, ax=grid.ravel().tolist(), shrink=0.6, pad=0.02)
    bar.ax.tick_params(labelsize=6)
    bar.ax.set_facecolor("black")
    _name_row(grid[0, 0], "frame")
    for axes in grid[:3].ravel():
        axes.set_xticks([])
        axes.set_yticks([])
    _draw_weights(list(grid[3]), maps.frame_weights)
    is_right = maps.recognised_as == maps.true_label
    verdict = "recognised" if is_right else f"recognised as “{maps.recognised_as}”"
    figure.suptitle(f"{maps.true_label}\n{verdict}", fontsize=8.5, color="black" if is_right else VERMILION)


def enlarge(patches: Float32[np.ndarray, "rows columns"], *, size: int) -> Float32[np.ndarray, "S S"]:
    """Give every pixel its patch's attention, bilinear between the patches' centres."""
    grown = functional.interpolate(torch.from_numpy(patches)[None, None], size=(size, size), mode="bilinear")
    return grown[0, 0].numpy()


def _draw_weights(line: list[Axes], weights: Float32[np.ndarray, " T"]) -> None:
    """Draw each frame's weight as a bar below it; the dashed line is the weight that all would have if none counted."""
    for axes, weight in zip(line, weights.tolist(), strict=True):
        axes.bar([0], [weight], width=0.5, color=BLUE)
        axes.axhline(1 / len(weights), color="0.4", linewidth=0.8, linestyle="--")
        axes.set(xlim=(-0.5, 0.5), ylim=(0, 1.25 * max(weights.max(), 1 / len(weights))), xticks=[], yticks=[])
        axes.set_xlabel(f"{weight:.2f}", fontsize=6.5, labelpad=2)
        axes.spines[["left", "right", "top"]].set_visible(False)
    _name_row(line[0], "weight W")


def _name_row(first: Axes, name: str) -> None:
    first.set_ylabel(name, fontsize=7, rotation=0, horizontalalignment="right", verticalalignment="center")
