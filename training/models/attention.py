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
    projected = functional.linear(tokens, layer.in_proj_weight, layer.in_proj_bias)
    return _attend(layer, *projected.chunk(3, dim=-1), mask=mask)


def cross_attention(
    layer: nn.MultiheadAttention, queries: Float[Tensor, "B Q D"], tokens: Float[Tensor, "B N D"]
) -> Float[Tensor, "B Q D"]:
    """Attend every query to all tokens.

    Equal to `layer(queries, tokens, tokens, need_weights=False)[0]` without dropout.
    """
    width = layer.embed_dim
    query = functional.linear(queries, layer.in_proj_weight[:width], layer.in_proj_bias[:width])
    projected = functional.linear(tokens, layer.in_proj_weight[width:], layer.in_proj_bias[width:])
    return _attend(layer, query, *projected.chunk(2, dim=-1), mask=None)


def causal_mask(tokens: Float[Tensor, "B N D"]) -> Bool[Tensor, "N N"]:
    """Return the mask under which a token sees itself and the tokens before it."""
    positions = torch.arange(tokens.shape[1], device=tokens.device)
    return positions[:, None] >= positions[None, :]


def _attend(
    layer: nn.MultiheadAttention,
    query: Float[Tensor, "B Q D"],
    key: Float[Tensor, "B N D"],
    value: Float[Tensor, "B N D"],
    *,
    mask: Bool[Tensor, "Q N"] | None,
) -> Float[Tensor, "B Q D"]:
    query, key, value = (
        part.unflatten(-1, (layer.num_heads, layer.head_dim)).transpose(1, 2) for part in (query, key, value)
    )
    mixed: Tensor = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    output: Tensor = layer.out_proj(mixed.transpose(1, 2).flatten(-2))
    return output
