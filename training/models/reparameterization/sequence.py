"""Blocks of beta that read prompts as a sequence: an LSTM over the tokens of a frame, a transformer over a clip."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.models.attention import self_attention

NUM_HEADS = 4
_MLP_RATIO = 4


class FrameLSTM(nn.Module):
    """A bidirectional LSTM over the prompt tokens of each frame; each direction has half of the width."""

    def __init__(self, width: int, *, num_layers: int) -> None:
        """Build ``num_layers`` layers."""
        super().__init__()
        self.lstm = nn.LSTM(width, width // 2, num_layers=num_layers, batch_first=True, bidirectional=True)

    def forward(self, hidden: Float[Tensor, "B T P r"]) -> Float[Tensor, "B T P r"]:
        """Return the outputs of the last layer; frames do not see each other."""
        outputs: Tensor = self.lstm(hidden.flatten(0, 1))[0]
        return outputs.unflatten(0, (-1, hidden.shape[1]))


class ClipTransformer(nn.Module):
    """Transformer encoder layers over all prompt tokens of a clip jointly, without a positional code."""

    def __init__(self, width: int, *, num_layers: int) -> None:
        """Build ``num_layers`` layers of 4 heads and an MLP of 4 times the width."""
        super().__init__()
        self.layers = nn.ModuleList([_EncoderLayer(width) for _ in range(num_layers)])

    def forward(self, hidden: Float[Tensor, "B T P r"]) -> Float[Tensor, "B T P r"]:
        """Return the outputs of the last layer."""
        tokens = hidden.flatten(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens.unflatten(1, hidden.shape[1:3])


class _EncoderLayer(nn.Module):
    """Attention, add, norm; MLP with ReLU, add, norm (Vaswani et al. 2017), without dropout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, NUM_HEADS, batch_first=True)
        self.attention_norm = nn.LayerNorm(width)
        self.mlp_in = nn.Linear(width, _MLP_RATIO * width)
        self.mlp_out = nn.Linear(_MLP_RATIO * width, width)
        self.mlp_norm = nn.LayerNorm(width)

    def forward(self, tokens: Float[Tensor, "B N r"]) -> Float[Tensor, "B N r"]:
        """Attend over all tokens, then apply the MLP."""
        attended = self.attention_norm(tokens + self_attention(self.attention, tokens))
        transformed: Tensor = self.mlp_norm(attended + self.mlp_out(functional.relu(self.mlp_in(attended))))
        return transformed
