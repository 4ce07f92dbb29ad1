"""The TD-Adapter: a gate on the features of a side block by how they differ from those of nearby segments."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.config.adapters import TemporalDifferenceVariant

_REDUCTION = 16


class TemporalDifferenceAdapter(nn.Module):
    """Scale features by 1 + gate, where the gate in (-1/2, 1/2) is learnt from temporal differences.

    Features are reduced 16-fold to b, and their differences are, by variant: ``pool``, b less its maximum over a window
    of time, so never above zero; ``conv``, b less a learnt convolution of each channel over that window, which starts
    as the mean; ``direct``, b less the segment before, zero for the first. A half of the difference and a half of its
    mean over channels are widened again.
    """

    def __init__(self, width: int, *, variant: TemporalDifferenceVariant, kernel: int) -> None:
        """Build the adapter; ``kernel`` is the odd length of the window of ``pool`` and ``conv``, in segments."""
        super().__init__()
        reduced = max(1, width // _REDUCTION)
        self.variant, self.kernel = variant, kernel
        self.conv1, self.bn1 = nn.Conv3d(width, reduced, 1, bias=False), nn.BatchNorm3d(reduced)
        self.conv2, self.bn2 = nn.Conv3d(reduced, width, 1, bias=False), nn.BatchNorm3d(width)
        self.window: nn.Conv3d | None = None
        if variant == "conv":
            self.window = nn.Conv3d(
                reduced, reduced, (kernel, 1, 1), padding=(kernel // 2, 0, 0), groups=reduced, bias=False
            )
            nn.init.constant_(self.window.weight, 1 / kernel)

    def forward(self, features: Float[Tensor, "N D T h w"]) -> Float[Tensor, "N D T h w"]:
        """Gate features of segments in the order of time."""
        differences = self._differ(self.bn1(self.conv1(features)))
        mixed = 0.5 * differences + 0.5 * differences.mean(dim=1, keepdim=True)
        opening = torch.sigmoid(self.bn2(self.conv2(mixed)))
        # Scaling by 1 + (opening - 1/2) in two terms keeps one tensor less for the gradients.
        return 0.5 * features + features * opening

    def _differ(self, reduced: Float[Tensor, "N R T h w"]) -> Float[Tensor, "N R T h w"]:
        if self.window is not None:
            return reduced - self.window(reduced)
        if self.variant == "direct":
            return reduced - torch.cat([reduced[:, :, :1], reduced[:, :, :-1]], dim=2)
        highest = functional.max_pool3d(reduced, (self.kernel, 1, 1), stride=1, padding=(self.kernel // 2, 0, 0))
        return reduced - highest
