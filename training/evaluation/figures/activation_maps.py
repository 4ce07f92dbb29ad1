"""What speaks for a video's label, patch by patch: in a side network and in CLIP alone (TDS-CLIP, Fig. 5).

The paper shows class activation maps; what they are here is settled in ``evidence``. Drawn is what a patch adds to the
score of the true label more than to that of the average label, because scores are compared with each other, and what
all labels share decides nothing. CLIP's map is the cosine of each patch with the label's text, less the mean over all
texts (Li et al. 2023, CLIP Surgery).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from training.evaluation.figures.evidence import read_side_evidence, read_text_similarity
from training.evaluation.figures.panels import draw_frames, draw_grey, enlarge, lay_out_videos, name_line, name_video
from training.evaluation.figures.study import Study
from training.evaluation.figures.videos import ShownVideo, read_shown_videos
from training.models.tds.encoder import SideVideoEncoder

_COLOURS = "RdBu_r"
_OPACITY = 0.85
# Colours are laid over frames thinly where there is little to say, and would not be seen on black.
_DARKEST = 0.6


@dataclass(frozen=True, kw_only=True)
class ActivationMaps:
    """One video: the centre frames of its segments, and the evidence for its true label against the average label.

    The mean of ``side``, plus ``side_bias``, is the label's score in the side network less the mean score of all
    labels: a difference of logits, or of cosines. ``frozen`` holds differences of cosines; it is None where CLIP cannot
    read every label.
    """

    video: str
    true_label: str
    recognised_as: str
    frames: UInt8[np.ndarray, "T S S 3"]
    side: Float32[np.ndarray, "T rows columns"]
    side_bias: float
    frozen: Float32[np.ndarray, "T rows columns"] | None


def map_activations(study: Study, *, encoder: SideVideoEncoder) -> list[ActivationMaps]:
    """Map the evidence in the first video of each of the first labels of the split.

    Raises:
        DataError: a video does not decode.
    """
    return [_map(study, shown, encoder=encoder) for shown in read_shown_videos(study)]


def collect_activations(maps: Sequence[ActivationMaps]) -> dict[str, np.ndarray]:
    """Return the numbers behind the figure, without those that there are not; videos stand first."""
    names = ["video", "true_label", "recognised_as", "frames", "side", "side_bias"]
    if maps[0].frozen is not None:
        names.append("frozen")
    return {name: np.array([getattr(each, name) for each in maps]) for name in names}


def draw_activations(maps: Sequence[ActivationMaps]) -> Figure:
    """Draw for each video its frames and the maps over them, each map on a scale of its own about 0."""
    num_lines = 1 + len(_name_maps(maps[0]))
    figure, parts = lay_out_videos(len(maps), num_frames=len(maps[0].frames), num_lines=num_lines)
    for part, own in zip(parts, maps, strict=True):
        _draw_video(part, own)
    title = "Evidence for the true label against the average label"
    figure.suptitle(f"{title}\n(below each frame: the mean of its patches)", fontsize=9.5)
    return figure


def _map(study: Study, shown: ShownVideo, *, encoder: SideVideoEncoder) -> ActivationMaps:
    device = encoder.mean.device
    clip, frames = (torch.from_numpy(each).to(device) for each in (shown.clip, shown.frames))
    texts = None if study.scored.texts is None else torch.from_numpy(study.scored.texts).to(device)
    evidence = read_side_evidence(encoder, clip, texts=texts)
    frozen = None
    if texts is not None:
        similarity = read_text_similarity(study.frozen.video, frames, texts=texts)
        frozen = _against_the_average(similarity, shown.label_id)
    return ActivationMaps(
        video=shown.video,
        true_label=shown.true_label,
        recognised_as=shown.recognised_as,
        frames=shown.frames,
        side=_against_the_average(evidence.patches, shown.label_id),
        side_bias=float(_against_the_average(evidence.bias, shown.label_id)),
        frozen=frozen,
    )


def _against_the_average(values: Float[Tensor, "L ..."], label_id: int) -> Float32[np.ndarray, "..."]:
    return (values[label_id] - values.mean(dim=0)).float().numpy(force=True)


def _name_maps(maps: ActivationMaps) -> dict[str, Float32[np.ndarray, "T rows columns"]]:
    named = {"CLIP alone": maps.frozen, "side network": maps.side}
    return {name: patches for name, patches in named.items() if patches is not None}


def _draw_video(part: SubFigure, maps: ActivationMaps) -> None:
    named = _name_maps(maps)
    grid = part.subplots(1 + len(named), len(maps.frames), squeeze=False)
    draw_frames(list(grid[0]), maps.frames)
    for line, (name, patches) in zip(grid[1:], named.items(), strict=True):
        # Where there is but one label, nothing speaks for it against the average.
        top = float(np.abs(patches).max()) or 1.0
        for axes, frame, own in zip(line, maps.frames, patches, strict=True):
            draw_grey(axes, frame, darkest=_DARKEST)
            _draw_evidence(axes, enlarge(own / top, size=len(frame)))
            axes.set_xlabel(f"{own.mean():+.2g}", fontsize=6.5, labelpad=2)
        name_line(line[0], f"{name}\n± {top:.2g}")
    scale = ScalarMappable(Normalize(-1, 1), _COLOURS)
    bar = part.colorbar(scale, ax=grid.ravel().tolist(), shrink=0.6, pad=0.02, ticks=[-1, 0, 1])
    bar.ax.set_yticklabels(["against", "0", "for"], fontsize=6)
    name_video(part, true_label=maps.true_label, recognised_as=maps.recognised_as)


def _draw_evidence(axes: Axes, evidence: Float32[np.ndarray, "S S"]) -> None:
    """Lay colours over a frame, the denser the more a place says either way."""
    axes.imshow(evidence, cmap=_COLOURS, vmin=-1, vmax=1, alpha=_OPACITY * np.abs(evidence))
