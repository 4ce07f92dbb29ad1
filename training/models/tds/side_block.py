"""One block of the side network: convolution over time, attention within a segment, and an MLP."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.models.attention import cross_attention
from training.models.tds.cls_shift import shift_cls
from training.models.tds.recomputation import recompute
from training.models.tds.temporal_difference import TemporalDifferenceAdapter

_MLP_RATIO = 4


class SideBlock(nn.Module):
    """x + TD(conv(BN(x))), then x + attention with the shifted class token, then x + MLP(BN(x)).

    The convolution is pointwise, three segments long in each channel, and pointwise again, with nothing between.
    Patches attend to the patches of their segment and its shifted class token; positions are added there alone. What
    lies between two norms over the batch is computed a second time for its gradients.
    """

    def __init__(
        self, width: int, *, num_heads: int, num_layers: int, td_adapter: TemporalDifferenceAdapter | None
    ) -> None:
        """Draw weights for one of ``num_layers`` blocks."""
        super().__init__()
        self.bn_1 = nn.BatchNorm3d(width)
        self.conv = nn.Sequential(
            nn.Conv3d(width, width, 1),
            nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0), groups=width),
            nn.Conv3d(width, width, 1),
        )
        self.td_adapter = td_adapter
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, num_heads, batch_first=True)
        self.bn_2 = nn.BatchNorm3d(width)
        self.mlp = _Mlp(width)
        self._draw(width, num_layers=num_layers)

    def forward(
        self,
        patches: Float[Tensor, "N D T h w"],
        *,
        cls_tokens: Float[Tensor, "N T D"],
        positions: Float[Tensor, "patches D"],
    ) -> Float[Tensor, "N D T h w"]:
        """Refine the patches of all segments with the class tokens of the frozen tower's same layer."""
        mixed = recompute(self.conv, self.bn_1(patches))
        patches = patches + (mixed if self.td_adapter is None else self.td_adapter(mixed))
        patches = patches + recompute(self._attend, patches, shift_cls(cls_tokens), positions)
        return patches + recompute(self.mlp, self.bn_2(patches).movedim(1, -1)).movedim(-1, 1)

    def _attend(
        self,
        patches: Float[Tensor, "N D T h w"],
        cls_tokens: Float[Tensor, "N T D"],
        positions: Float[Tensor, "patches D"],
    ) -> Float[Tensor, "N D T h w"]:
        num_segments, grid = cls_tokens.shape[1], patches.shape[3:]
        placed = patches.flatten(3).permute(0, 2, 3, 1) + positions
        tokens = self.ln_1(torch.cat([cls_tokens[:, :, None], placed], dim=2).flatten(0, 1))
        mixed = cross_attention(self.attn, tokens[:, 1:], tokens)
        return mixed.unflatten(1, grid).unflatten(0, (-1, num_segments)).movedim(-1, 1)

    def _draw(self, width: int, *, num_layers: int) -> None:
        """Scale the maps as CLIP does, those that end on the residual path by its depth."""
        last = width**-0.5 * (2 * num_layers) ** -0.5
        nn.init.normal_(self.attn.in_proj_weight, std=width**-0.5)
        nn.init.normal_(self.attn.out_proj.weight, std=last)
        nn.init.normal_(self.mlp.fc1.weight, std=(2 * width) ** -0.5)
        nn.init.normal_(self.mlp.fc2.weight, std=last)


class _Mlp(nn.Module):
    """Two linear maps with the exact GELU between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, _MLP_RATIO * width), nn.Linear(_MLP_RATIO * width, width)

    def forward(self, tokens: Float[Tensor, "*places D"]) -> Float[Tensor, "*places D"]:
        mixed: Tensor = self.fc2(functional.gelu(self.fc1(tokens)))
        return mixed
