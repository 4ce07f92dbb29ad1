"""Reading the attention weights of an image tower's last layer; what is drawn of them lives in ``attention_maps``.

The models compute attention fused, without keeping its weights. They are computed here a second time, from the very
tokens that the layer saw, so that training and export run without a trace of this.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from training.models.video_encoder import VideoEncoder


@dataclass(frozen=True)
class ClsAttention:
    """What [CLS] attends to in the last layer, averaged over heads.

    ``weights`` sum to 1 over all tokens of a frame: [CLS] itself, the patches, and the prompts, if there are any.
    ``patches`` are those of the patches, in the places they have in the frame.
    """

    weights: Float[Tensor, "N T tokens"]
    patches: Float[Tensor, "N T rows columns"]


@torch.no_grad()
def read_cls_attention(encoder: VideoEncoder, frames: UInt8[Tensor, "N T H W 3"]) -> ClsAttention:
    """Encode clips and read what [CLS] attends to in the last layer."""
    block = encoder.visual.transformer.resblocks[-1]
    seen: list[Tensor] = []
    # The norm before attention gives exactly the tokens that attention takes, prompts included.
    hook = block.ln_1.register_forward_hook(lambda _module, _inputs, tokens: seen.append(tokens))
    try:
        encoder(frames)
    finally:
        hook.remove()
    weights = attention_weights(block.attn, seen[0])[:, :, 0].mean(dim=1).unflatten(0, frames.shape[:2])
    rows, columns = encoder.visual.grid_size
    return ClsAttention(weights, weights[..., 1 : 1 + rows * columns].unflatten(-1, (rows, columns)))


def attention_weights(layer: nn.MultiheadAttention, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B heads N N"]:
    """Compute softmax(Q K^T / sqrt(d)) of every head, where every token attends to all."""
    width = layer.embed_dim
    projected = functional.linear(tokens, layer.in_proj_weight[: 2 * width], layer.in_proj_bias[: 2 * width])
    query, key = (part.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2) for part in projected.chunk(2, dim=-1))
    return (query @ key.transpose(-1, -2) / layer.head_dim**0.5).softmax(dim=-1)
