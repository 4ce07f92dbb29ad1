"""Self-attention of a torch `MultiheadAttention` layer, written out.

Lives here: the one attention forward shared by the frozen towers. The layer keeps its parameters and its checkpoint
names; its own `forward` is not called, because its fused inference path cannot be exported or counted.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional


def self_attention(
    layer: nn.MultiheadAttention, tokens: Float[Tensor, "B N D"], *, mask: Bool[Tensor, "N N"] | None = None
) -> Float[Tensor, "B N D"]:
    """Attend every token to all tokens, or to those where `mask` is true.

    Equal to `layer(tokens, tokens, tokens, need_weights=False)[0]` without dropout.
    """
    head_width = layer.head_dim
    projected = functional.linear(tokens, layer.in_proj_weight, layer.in_proj_bias)
    query, key, value = (
        part.unflatten(-1, (layer.num_heads, head_width)).transpose(1, 2) for part in projected.chunk(3, dim=-1)
    )
    mixed: Tensor = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    output: Tensor = layer.out_proj(mixed.transpose(1, 2).flatten(-2))
    return output


def causal_mask(tokens: Float[Tensor, "B N D"]) -> Bool[Tensor, "N N"]:
    """Return the mask under which a token sees itself and the tokens before it."""
    positions = torch.arange(tokens.shape[1], device=tokens.device)
    return positions[:, None] >= positions[None, :]
