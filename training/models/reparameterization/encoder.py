"""The reparameterization encoder beta of Eq. 12: projection, a block that mixes prompts, projection.

Lives here: what all variants share, and the choice of the block. The blocks are in ``convolutions``, ``tada`` and
``sequence``; how convolutions see the tokens of a frame is in ``layouts``.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from jaxtyping import Float
from torch import Tensor, nn

from training.config.adapters import BetaLayout, TemporalPromptConfig
from training.models.reparameterization.convolutions import ConvolutionBlock, build_c3d_unit, build_r2plus1d_unit
from training.models.reparameterization.layouts import lay_out
from training.models.reparameterization.sequence import ClipTransformer, FrameLSTM
from training.models.reparameterization.tada import build_tada_unit

_UNITS: Mapping[str, Callable[[int, BetaLayout], nn.Module]] = MappingProxyType(
    {"tada": build_tada_unit, "c3d": build_c3d_unit, "r2plus1d": build_r2plus1d_unit}
)


class Reparameterization(nn.Module):
    """Refine temporal prompts across frames and tokens: P_R = P + beta(P) (Deng et al. 2024, Eq. 12, Fig. 4).

    Without the residual P_R = beta(P) (Table 4).
    """

    def __init__(self, config: TemporalPromptConfig, *, width: int, num_tokens: int) -> None:
        """Build the encoder for ``num_tokens`` prompts a frame of ``width`` channels."""
        super().__init__()
        self.residual = config.residual
        self.down = nn.Linear(width, config.beta_width)
        self.block = _build_block(config, num_tokens=num_tokens)
        self.up = nn.Linear(config.beta_width, width)
        if config.zero_init_beta:
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

    def forward(self, prompts: Float[Tensor, "B T P D"]) -> Float[Tensor, "B T P D"]:
        """Return the refined prompts."""
        refined: Tensor = self.up(self.block(self.down(prompts)))
        return prompts + refined if self.residual else refined


def build_reparameterization(config: TemporalPromptConfig, *, width: int, num_tokens: int) -> nn.Module:
    """Build what maps P to P_R for one layer: beta, or the identity where the config has none."""
    if config.beta == "none":
        return nn.Identity()
    return Reparameterization(config, width=width, num_tokens=num_tokens)


def _build_block(config: TemporalPromptConfig, *, num_tokens: int) -> nn.Module:
    """Build the block between the projections (Table 3); it keeps the shape [B, T, P, beta_width]."""
    width, num_units = config.beta_width, config.beta_units
    if config.beta == "mlp":
        return nn.GELU()
    if config.beta == "lstm":
        return FrameLSTM(width, num_layers=num_units)
    if config.beta == "transformer":
        return ClipTransformer(width, num_layers=num_units)
    units = [_UNITS[config.beta](width, config.beta_layout) for _ in range(num_units)]
    return ConvolutionBlock(units, layout=lay_out(config.beta_layout, num_tokens=num_tokens))
