"""Temporal prompts (Deng et al. 2024, Eq. 8-12): what one frozen layer is told about the other frames of a clip."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from training.config.adapters import GlobalPrompts
from training.models.attention import self_attention


class TemporalPrompts(nn.Module):
    """The prompts of one layer: a summary C (Eq. 8), S global prompts G, and T interchange prompts I (Eq. 9).

    Nothing is shared between layers. Symbols: X = P_cls(cls) with ``project_cls``; C = MHSA(LN(X)) + X over time;
    Ihat[t, j] = I[j] + X[j], the same for every frame t; P = [C, G, Ihat] (Eq. 10). G is one set that all frames share,
    or one set a frame.
    """

    def __init__(
        self,
        *,
        width: int,
        num_heads: int,
        num_frames: int,
        num_global_prompts: int,
        global_prompts: GlobalPrompts,
        projection_init: Literal["identity", "torch_default"],
        reparameterization: nn.Module,
    ) -> None:
        """Build the prompts of one layer; ``reparameterization`` maps P to P_R and is the identity without beta."""
        super().__init__()
        self.project_cls = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, num_heads, batch_first=True)
        sets = (num_frames,) if global_prompts == "per_frame" else ()
        self.global_prompts = nn.Parameter(_prompt_values(*sets, num_global_prompts, width=width))
        self.interchange_prompts = nn.Parameter(_prompt_values(num_frames, width=width))
        self.reparameterization = reparameterization
        self._initialise(projection_init)

    def forward(self, cls_tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B T P D"]:
        """Return P_R for the class tokens that enter a layer."""
        num_clips, num_frames, _ = cls_tokens.shape
        projected = self.project_cls(cls_tokens)
        summary = self_attention(self.attention, self.norm(projected)) + projected
        interchange = (self.interchange_prompts + projected)[:, None].expand(-1, num_frames, -1, -1)
        shared = self.global_prompts.expand(num_clips, num_frames, -1, -1)
        prompts: Tensor = self.reparameterization(torch.cat([summary[:, :, None], shared, interchange], dim=2))
        return prompts

    def _initialise(self, projection_init: Literal["identity", "torch_default"]) -> None:
        """Xavier-uniform attention without bias, as Vita-CLIP; P_cls as asked."""
        nn.init.xavier_uniform_(self.attention.out_proj.weight)
        for part in self.attention.in_proj_weight.detach().chunk(3):
            nn.init.xavier_uniform_(part)
        if projection_init == "identity":
            nn.init.eye_(self.project_cls.weight)
            nn.init.zeros_(self.project_cls.bias)


def _prompt_values(*sizes: int, width: int) -> Float[Tensor, "*sizes D"]:
    """Draw from U(-v, v), v = sqrt(6 / (3 * 16 * 16 + width)), the bound of visual prompt tuning at patch size 16."""
    bound = math.sqrt(6.0 / (3 * 16 * 16 + width))
    return torch.empty(*sizes, width).uniform_(-bound, bound)
