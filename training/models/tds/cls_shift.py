"""The shift of class tokens between segments, by which the attention of one segment sees its neighbours."""

import torch
from jaxtyping import Float
from torch import Tensor


def shift_cls(cls_tokens: Float[Tensor, "N T D"]) -> Float[Tensor, "N T D"]:
    """Take the first half of the channels from the next segment and the second from the one before, zeros at the ends.

    Of an odd number of channels, the first half is the smaller one.
    """
    half = cls_tokens.shape[-1] // 2
    ahead, behind = cls_tokens[:, 1:, :half], cls_tokens[:, :-1, half:]
    first = torch.cat([ahead, torch.zeros_like(cls_tokens[:, :1, :half])], dim=1)
    second = torch.cat([torch.zeros_like(cls_tokens[:, :1, half:]), behind], dim=1)
    return torch.cat([first, second], dim=-1)
