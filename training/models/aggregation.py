"""Word-weighted similarity of clips and labels in torch, for training; ``service.contract.scoring`` is its twin."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def frame_weights(
    frames: Float[Tensor, "V T D"], words: Float[Tensor, "L N D"], is_word: Bool[Tensor, "L N"], *, tau: float
) -> Float[Tensor, "V L T"]:
    """W of Eq. 6: softmax over frames for each word, averaged over the label's words."""
    attention = torch.einsum("vtd,lnd->vlnt", frames, words).div(tau).softmax(dim=-1)
    share = is_word / is_word.sum(dim=1, keepdim=True)
    return torch.einsum("vlnt,ln->vlt", attention, share)


def similarity(
    frames: Float[Tensor, "V T D"],
    embeddings: Float[Tensor, "L D"],
    weights: Float[Tensor, "V L T"],
    *,
    renormalise: bool,
) -> Float[Tensor, "L V"]:
    """Similarity of every label with every clip pooled by that label's weights (Eq. 7), in Gram form."""
    dots = torch.einsum("vlt,vtd,ld->lv", weights, frames, embeddings)
    if not renormalise:
        return dots
    gram = frames @ frames.transpose(1, 2)
    norms = torch.einsum("vlt,vts,vls->lv", weights, gram, weights).clamp_min(1e-12).sqrt()
    return dots / norms


def uniform_weights(frames: Float[Tensor, "V T D"], *, num_labels: int) -> Float[Tensor, "V L T"]:
    """Weights of mean pooling."""
    num_clips, num_frames, _ = frames.shape
    return frames.new_full((num_clips, num_labels, num_frames), 1.0 / num_frames)
