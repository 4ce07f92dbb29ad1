"""AdamW over a model's trainable parameters, and the learning rate as a function of the step."""

import math

from torch import nn
from torch.optim import AdamW

# Prompts and positions are inputs, not maps: shrinking them towards zero means nothing.
_INPUTS = ("temporal_embedding", "global_prompts", "interchange_prompts", "prompt_tokens", "position_embedding")


def build_optimizer(
    model: nn.Module,
    *,
    learning_rate: float,
    weight_decay: float,
    betas: tuple[float, float],
    eps: float = 1e-8,
    decay_all: bool = False,
) -> AdamW:
    """Build AdamW; matrices and kernels decay, norms, biases, prompts and positions only with ``decay_all``.

    Raises:
        ValueError: no parameter is trainable.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not named:
        raise ValueError("the model has no trainable parameter; choose a method with adapters")
    decaying = [parameter for name, parameter in named if decay_all or decays(name, parameter)]
    others = [parameter for name, parameter in named if not (decay_all or decays(name, parameter))]
    groups = [{"params": decaying, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW([group for group in groups if group["params"]], lr=learning_rate, betas=betas, eps=eps)


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay acts on a parameter."""
    return parameter.ndim >= 2 and name.rsplit(".", 1)[-1] not in _INPUTS


def learning_rate_factor(step: int, *, num_steps: int, num_warmup_steps: int, final_share: float = 0.0) -> float:
    """Share of the peak learning rate at a step, counted from 0: linear warm-up, then a cosine to the final share.

    With 2 warm-up steps of 6 the shares are 0.5, 1, 1, 0.854, 0.5, 0.146.
    """
    if step < num_warmup_steps:
        return (step + 1) / num_warmup_steps
    progress = (step - num_warmup_steps) / max(num_steps - num_warmup_steps, 1)
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def set_learning_rate(optimizer: AdamW, learning_rate: float) -> None:
    """Use one learning rate for all parameters from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
