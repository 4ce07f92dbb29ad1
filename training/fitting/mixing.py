"""Mixing the clips of a batch with each other: mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019).

One draw holds for a whole step, and is the same for all frames of a clip and however many processes share the batch.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from training.config.fitting import FitConfig

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Mix:
    """What becomes of a batch: clip i keeps its share, and gives the rest to ``partners[i]``.

    With a ``box`` (left, top, right, bottom), that part of the picture is the partner's; without, pixels are averaged.
    """

    partners: Int64[np.ndarray, " B"]
    share: float
    box: Box | None


def draw_mix(num_clips: int, *, size_pixels: int, config: FitConfig, step: int) -> Mix:
    """Draw the mix of a step; it follows from the seed and the step alone.

    With both alphas above 0, CutMix is taken with ``mix_switch_probability``. The share is Beta distributed; that of a
    box which leaves the picture is corrected.
    """
    # The last number sets these draws apart from those of clips and of their order.
    generator = np.random.default_rng((config.seed, step, 0, 1))
    partners = generator.permutation(num_clips)
    cuts = generator.random() < config.mix_switch_probability if config.mixup_alpha else True
    if not (cuts and config.cutmix_alpha):
        return Mix(partners, float(generator.beta(config.mixup_alpha, config.mixup_alpha)), None)
    share = generator.beta(config.cutmix_alpha, config.cutmix_alpha)
    half = int(size_pixels * np.sqrt(1 - share)) // 2
    x, y = generator.integers(size_pixels, size=2).tolist()
    left, top = max(x - half, 0), max(y - half, 0)
    right, bottom = min(x + half, size_pixels), min(y + half, size_pixels)
    area = (right - left) * (bottom - top)
    return Mix(partners, 1 - area / size_pixels**2, (left, top, right, bottom))


def mix_frames(
    frames: UInt8[Tensor, "B *frames S S 3"], others: UInt8[Tensor, "B *frames S S 3"], *, mix: Mix
) -> UInt8[Tensor, "B *frames S S 3"]:
    """Mix clips with those of their partners."""
    if mix.box is None:
        return torch.lerp(others.float(), frames.float(), mix.share).round().to(torch.uint8)
    left, top, right, bottom = mix.box
    mixed = frames.clone()
    mixed[..., top:bottom, left:right, :] = others[..., top:bottom, left:right, :]
    return mixed


def mix_targets(targets: Float[Tensor, "B L"], others: Float[Tensor, "B L"], *, mix: Mix) -> Float[Tensor, "B L"]:
    """Share each clip's target with its partner's."""
    return mix.share * targets + (1 - mix.share) * others
