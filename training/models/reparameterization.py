"""The reparameterization encoder beta of Eq. 12: projection, (2+1)D convolutions on the token grid, projection."""

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class Reparameterization(nn.Module):
    """Refine temporal prompts across frames and tokens: P_R = P + beta(P) (Deng et al. 2024, Eq. 12, Fig. 4).

    The P prompt tokens of a frame are folded, in their order, to a grid of ``ceil(sqrt(P))`` rows; missing cells are
    zero. Two units of a 1x3x3 and a 3x1x1 convolution then mix neighbouring tokens and neighbouring frames.
    """

    def __init__(self, *, width: int, inner_width: int, num_tokens: int, zero_init: bool) -> None:
        """Build the encoder for ``num_tokens`` prompts a frame of ``width`` channels."""
        super().__init__()
        self.num_rows = math.ceil(math.sqrt(num_tokens))
        self.num_columns = math.ceil(num_tokens / self.num_rows)
        self.down = nn.Linear(width, inner_width)
        self.block = nn.Sequential(_conv_unit(inner_width), _conv_unit(inner_width))
        self.up = nn.Linear(inner_width, width)
        if zero_init:
            nn.init.zeros_(self.up.weight)
            nn.init.zeros_(self.up.bias)

    def forward(self, prompts: Float[Tensor, "B T P D"]) -> Float[Tensor, "B T P D"]:
        """Return the refined prompts, residual included."""
        num_tokens = prompts.shape[2]
        hidden = self._fold(self.down(prompts))
        mixed = self.block(hidden).flatten(3)[..., :num_tokens].permute(0, 2, 3, 1)
        return prompts + self.up(mixed)

    def _fold(self, hidden: Float[Tensor, "B T P r"]) -> Float[Tensor, "B r T h w"]:
        missing = self.num_rows * self.num_columns - hidden.shape[2]
        padded = functional.pad(hidden, (0, 0, 0, missing))
        return padded.unflatten(2, (self.num_rows, self.num_columns)).permute(0, 4, 1, 2, 3)


def _conv_unit(width: int) -> nn.Sequential:
    """R(2+1)D unit (Tran et al. 2018): space, then time, each normalised and rectified."""
    return nn.Sequential(
        nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1)),
        nn.BatchNorm3d(width),
        nn.ReLU(),
        nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0)),
        nn.BatchNorm3d(width),
        nn.ReLU(),
    )
