"""What speaks for a label, patch by patch: in a side network, and in CLIP's image tower; ``activation_maps`` draws it.

A side network's score is a mean over patches with nothing nonlinear behind it, so that its activation maps (Zhou et
al. 2016, Eq. 2) are exact and need no gradients. CLIP's score comes from [CLS] alone, and has no such parts.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from training.models.tds.encoder import SideVideoEncoder
from training.models.tds.heads import LinearHead
from training.models.video_encoder import VideoEncoder


@dataclass(frozen=True)
class Evidence:
    """The parts of every label's score: the mean of its ``patches``, plus its ``bias``, is the score."""

    patches: Float[Tensor, "L T rows columns"]
    bias: Float[Tensor, " L"]


@torch.no_grad()
def read_side_evidence(
    encoder: SideVideoEncoder, clip: UInt8[Tensor, "T *n H W 3"], *, texts: Float[Tensor, "L D"] | None
) -> Evidence:
    """Encode a clip and take the scores of labels apart.

    The score of a linear head is the logit w . f + b of a class, where f is the mean of normalised patches x: every
    patch has the part w . x. That of a cosine head is p . t / |p| for the text t of a label and p = W f + b: every
    patch has the part t . W x / |p|, where |p| is the length of the whole clip's projection. A fused cosine of the
    tower alone has no part in it.

    Raises:
        ValueError: a cosine head was given no texts.
    """
    seen: list[Tensor] = []
    hook = encoder.side.post_norm.register_forward_hook(lambda _module, _inputs, patches: seen.append(patches))
    try:
        encoder(clip[None])
    finally:
        hook.remove()
    weight, bias = _linear_parts(encoder, seen[0].mean(dim=(2, 3, 4))[0], texts=texts)
    return Evidence(torch.einsum("ld,dthw->lthw", weight, seen[0][0]), bias)


@torch.no_grad()
def read_text_similarity(
    encoder: VideoEncoder, frames: UInt8[Tensor, "T H W 3"], *, texts: Float[Tensor, "L D"]
) -> Float[Tensor, "L T rows columns"]:
    """Encode frames and compare every patch that leaves the last layer, in CLIP's joint space, with texts by cosine."""
    visual = encoder.visual
    block, (rows, columns) = visual.transformer.resblocks[-1], visual.grid_size
    seen: list[Tensor] = []
    # The norm before the MLP takes the sum that the MLP's output is added to.
    hook = block.ln_2.register_forward_hook(lambda _module, inputs, _outputs: seen.append(inputs[0]))
    try:
        encoder(frames[None])
    finally:
        hook.remove()
    tokens = seen[0][0, :, 1 : 1 + rows * columns]
    patches = visual.ln_post(tokens + block.mlp(block.ln_2(tokens))) @ visual.proj
    cosines = functional.normalize(patches, dim=-1) @ texts.T
    return cosines.permute(2, 0, 1).unflatten(-1, (rows, columns))


def _linear_parts(
    encoder: SideVideoEncoder, pooled: Float[Tensor, " W"], *, texts: Float[Tensor, "L D"] | None
) -> tuple[Float[Tensor, "L W"], Float[Tensor, " L"]]:
    """Write the scores of labels as one linear map of the pooled features."""
    head = encoder.head
    if isinstance(head, LinearHead):
        return head.fc.weight, head.fc.bias
    if texts is None:
        raise ValueError("a cosine head was given no texts to compare a clip with; give those of the labels")
    directions = texts / head.projection(pooled).norm()
    return directions @ head.projection.weight, directions @ head.projection.bias
