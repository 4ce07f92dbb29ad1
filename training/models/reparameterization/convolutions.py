"""Blocks of beta that convolve: the frame around their units, and the units with static kernels."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor, nn

from training.config.adapters import BetaLayout
from training.models.reparameterization.layouts import TokenCells, build_conv


class ConvolutionBlock(nn.Sequential):
    """Units that convolve over frames and the cells that tokens lie in, one after another."""

    def __init__(self, units: Iterable[nn.Module], *, layout: TokenCells) -> None:
        """Chain units that keep the shape [B, r, T, h, w]."""
        super().__init__(*units)
        self.layout = layout

    def forward(self, hidden: Float[Tensor, "B T P r"]) -> Float[Tensor, "B T P r"]:
        """Return mixed tokens."""
        volume = self.layout.fold(hidden)
        for unit in self:
            volume = unit(volume)
        return self.layout.unfold(volume)


def build_r2plus1d_unit(width: int, layout: BetaLayout) -> nn.Sequential:
    """Build an R(2+1)D unit (Tran et al. 2018): space, then time, each normalised and rectified."""
    return nn.Sequential(
        build_conv(width, layout, depth=1),
        nn.BatchNorm3d(width),
        nn.ReLU(),
        nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0)),
        nn.BatchNorm3d(width),
        nn.ReLU(),
    )


def build_c3d_unit(width: int, layout: BetaLayout) -> nn.Sequential:
    """Build a C3D unit (Tran et al. 2015): space and time in one kernel, normalised and rectified."""
    return nn.Sequential(build_conv(width, layout, depth=3), nn.BatchNorm3d(width), nn.ReLU())
