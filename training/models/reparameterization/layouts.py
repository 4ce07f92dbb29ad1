"""How convolutions see the prompt tokens of a frame: which cells they lie in, and along which axes kernels run."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.config.adapters import BetaLayout


@dataclass(frozen=True)
class TokenCells:
    """The rows and columns that the tokens of a frame fill in their order; cells left over are zero."""

    num_tokens: int
    num_rows: int
    num_columns: int

    def fold(self, hidden: Float[Tensor, "B T P r"]) -> Float[Tensor, "B r T h w"]:
        """Put tokens into their cells."""
        missing = self.num_rows * self.num_columns - self.num_tokens
        padded = functional.pad(hidden, (0, 0, 0, missing))
        return padded.unflatten(2, (self.num_rows, self.num_columns)).permute(0, 4, 1, 2, 3)

    def unfold(self, volume: Float[Tensor, "B r T h w"]) -> Float[Tensor, "B T P r"]:
        """Take tokens out of their cells; what convolutions wrote to the cells left over is dropped."""
        return volume.flatten(3)[..., : self.num_tokens].permute(0, 2, 3, 1)


def lay_out(layout: BetaLayout, *, num_tokens: int) -> TokenCells:
    """Find the cells of a layout: ``ceil(sqrt(P))`` rows for a ``grid``, else one row a token.

    17 tokens fill a grid of 5 x 4.
    """
    if layout != "grid":
        return TokenCells(num_tokens, num_rows=num_tokens, num_columns=1)
    num_rows = math.ceil(math.sqrt(num_tokens))
    return TokenCells(num_tokens, num_rows=num_rows, num_columns=math.ceil(num_tokens / num_rows))


class PlaneConv3d(nn.Conv3d):
    """A convolution whose rows and columns run over frames and tokens: its input has one column, [B, r, T, P, 1].

    The kernel keeps the shape that it has in the other layouts.
    """

    def forward(self, volume: Float[Tensor, "B r T P 1"]) -> Float[Tensor, "B r T P 1"]:
        """Convolve over the plane of frames and tokens."""
        # Turning the kernel instead of the volume leaves a constant weight, so that batch norms still fold into it.
        depth, rows, columns = (size // 2 for size in self.kernel_size)
        weight = self.weight.permute(0, 1, 3, 4, 2)
        return functional.conv3d(volume, weight, self.bias, padding=(rows, columns, depth))


def build_conv(width: int, layout: BetaLayout, *, depth: int) -> nn.Conv3d:
    """Build a convolution of ``depth`` x 3 x 3 that keeps width and size.

    Over a ``grid`` all 9 taps of a 3 x 3 slice reach tokens. Over a ``line`` 3 do, and the others never get a gradient.
    Over a ``plane`` all 9 do, and a kernel of depth 3 has live taps in its middle slice alone.
    """
    kind = PlaneConv3d if layout == "plane" else nn.Conv3d
    return kind(width, width, (depth, 3, 3), padding=(depth // 2, 1, 1))
