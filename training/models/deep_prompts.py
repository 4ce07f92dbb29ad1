"""Learned tokens in the layers of a frozen tower (Rasheed et al. 2023, section 5), the same class for both towers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

_DEVIATION = 0.02


class DeepPrompts(nn.Module):
    """Tokens of the first layers: those of layer 0 enter the tower, those of each further layer replace their outputs.

    After the last layer that has tokens of its own, the outputs of its tokens are carried on. The towers share nothing.
    """

    def __init__(self, *, depth: int, num_tokens: int, width: int) -> None:
        """Draw every token from N(0, 0.02)."""
        super().__init__()
        self.depth, self.num_tokens = depth, num_tokens
        self.prompt_tokens = nn.Parameter(torch.empty(depth, num_tokens, width).normal_(std=_DEVIATION))

    def insert(self, tokens: Float[Tensor, "... N D"], *, position: int) -> Float[Tensor, "... M D"]:
        """Put the tokens of layer 0 before the token at a position."""
        return torch.cat([tokens[..., :position, :], self._own(tokens, layer=0), tokens[..., position:, :]], dim=-2)

    def renew(self, tokens: Float[Tensor, "... M D"], *, position: int, layer: int) -> Float[Tensor, "... M D"]:
        """Replace the tokens from a position on by those of a layer that has its own; layer 0 was inserted."""
        if not 0 < layer < self.depth:
            return tokens
        after = tokens[..., position + self.num_tokens :, :]
        return torch.cat([tokens[..., :position, :], self._own(tokens, layer=layer), after], dim=-2)

    def remove(self, tokens: Float[Tensor, "... M D"], *, position: int) -> Float[Tensor, "... N D"]:
        """Leave out the tokens from a position on."""
        return torch.cat([tokens[..., :position, :], tokens[..., position + self.num_tokens :, :]], dim=-2)

    def _own(self, tokens: Float[Tensor, "... N D"], *, layer: int) -> Float[Tensor, "... P D"]:
        return self.prompt_tokens[layer].expand(*tokens.shape[:-2], -1, -1)
