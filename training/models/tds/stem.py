"""The side network's first convolutions: of the centre frame of every segment, and of its local differences."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class SideStem(nn.Module):
    """Embed segments of n frames: x = beta * BN(conv(centre)) + alpha * BN(conv(differences)) (SME-Adapter).

    The n - 1 differences are those of successive frames, each less the one before it, side by side as channels. With
    one local frame there is nothing to subtract, and the centre is embedded alone. A kernel covers three segments.
    """

    def __init__(
        self, width: int, *, patch_size: int, padding: int, num_local_frames: int, alpha: float, beta: float
    ) -> None:
        """Draw kernels of ``patch_size``; ``padding`` pixels on each side move the patches against the tower's."""
        super().__init__()
        self.alpha, self.beta = alpha, beta

        def embed(num_channels: int) -> nn.Conv3d:
            side = (patch_size, patch_size)
            return nn.Conv3d(num_channels, width, (3, *side), stride=(1, *side), padding=(1, padding, padding))

        self.centre_conv, self.centre_norm = embed(3), nn.BatchNorm3d(width)
        has_differences = num_local_frames > 1
        self.difference_conv = embed(3 * (num_local_frames - 1)) if has_differences else None
        self.difference_norm = nn.BatchNorm3d(width) if has_differences else None

    def forward(self, pixels: Float[Tensor, "N T n H W 3"]) -> Float[Tensor, "N D T h w"]:
        """Embed normalised frames; the centre frame of a segment has index n // 2."""
        centre = pixels[:, :, pixels.shape[2] // 2].movedim(-1, 1)
        embedded: Tensor = self.beta * self.centre_norm(self.centre_conv(centre))
        if self.difference_conv is None or self.difference_norm is None:
            return embedded
        differences = local_differences(pixels)
        return embedded + self.alpha * self.difference_norm(self.difference_conv(differences))


def local_differences(pixels: Float[Tensor, "N T n H W 3"]) -> Float[Tensor, "N channels T H W"]:
    """Subtract from every frame of a segment the one before it; channels run over differences, then colours."""
    differences = pixels[:, :, 1:] - pixels[:, :, :-1]
    return torch.flatten(differences.permute(0, 2, 5, 1, 3, 4), 1, 2)
