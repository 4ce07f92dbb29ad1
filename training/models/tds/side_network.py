"""The side network: a stem, and one block after each layer of a frozen tower whose tokens it reads."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.config.adapters import SideNetworkConfig
from training.models.tds.recomputation import recompute
from training.models.tds.side_block import SideBlock
from training.models.tds.stem import SideStem
from training.models.tds.temporal_difference import TemporalDifferenceAdapter

_POSITION_DEVIATION = 0.01


class SideNetwork(nn.Module):
    """Follow a tower layer by layer: x = block(x / 2 + Linear(LN(tokens)) / 2), and the mean of BN(x) at the end.

    Nothing depends on the number of segments. Whoever calls runs the tower, and may do so without gradients.
    """

    def __init__(
        self, config: SideNetworkConfig, *, tower_width: int, num_layers: int, patch_size: int, grid: int
    ) -> None:
        """Draw weights beside a tower of ``num_layers`` layers over ``grid`` x ``grid`` patches."""
        super().__init__()
        width = config.side_width
        self.stem = SideStem(
            width,
            patch_size=patch_size,
            padding=config.stem_padding,
            num_local_frames=config.num_local_frames,
            alpha=config.sme_alpha,
            beta=config.sme_beta,
        )
        self.tap_norms = nn.ModuleList(nn.LayerNorm(tower_width) for _ in range(num_layers))
        self.tap_linears = nn.ModuleList(nn.Linear(tower_width, width) for _ in range(num_layers))
        self.blocks = nn.ModuleList(
            SideBlock(
                width,
                num_heads=config.num_heads,
                num_layers=num_layers,
                td_adapter=_build_td_adapter(config, layer=layer, num_layers=num_layers),
            )
            for layer in range(num_layers)
        )
        self.position_embedding = nn.Parameter(torch.empty(grid * grid, width).normal_(std=_POSITION_DEVIATION))
        self.post_norm = nn.BatchNorm3d(width)

    def advance(
        self, patches: Float[Tensor, "N D T h w"], tokens: Float[Tensor, "N T tokens W"], *, layer: int
    ) -> Float[Tensor, "N D T h w"]:
        """Take in the tokens that left a layer of the tower, class token first, and apply that layer's block."""
        tapped = recompute(nn.Sequential(self.tap_norms[layer], self.tap_linears[layer]), tokens)
        tapped_patches = tapped[:, :, 1:].permute(0, 3, 1, 2).unflatten(-1, patches.shape[3:])
        refined: Tensor = self.blocks[layer](
            0.5 * patches + 0.5 * tapped_patches, cls_tokens=tapped[:, :, 0], positions=self.position_embedding
        )
        return refined

    def pool(self, patches: Float[Tensor, "N D T h w"]) -> Float[Tensor, "N D"]:
        """Average over space and time."""
        normalised: Tensor = self.post_norm(patches)
        return normalised.mean(dim=(2, 3, 4))


def _build_td_adapter(config: SideNetworkConfig, *, layer: int, num_layers: int) -> TemporalDifferenceAdapter | None:
    last_layer = num_layers - 1 if config.td_last_layer is None else config.td_last_layer
    is_inside = config.td_first_layer <= layer <= last_layer
    if config.td_adapter == "none" or not is_inside:
        return None
    return TemporalDifferenceAdapter(config.side_width, variant=config.td_adapter, kernel=config.td_kernel)
