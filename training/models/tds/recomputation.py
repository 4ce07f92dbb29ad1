"""Trading a little time for memory: inner results of a block that the backward pass computes a second time."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def recompute(function: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Call a function of which only the inputs are kept for its gradients (Chen et al. 2016).

    It must draw nothing at random and learn no statistics, because it runs twice.
    """
    if not torch.is_grad_enabled():
        return function(*inputs)
    output: Tensor = checkpoint(function, *inputs, use_reentrant=False, preserve_rng_state=False)
    return output
