"""Batch norms whose statistics are those of the clips of all processes, so that several processes train as one would.

They serve training alone and keep the parameters, statistics and names of the norms they stand for.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise_batch_norms(module: nn.Module, *, device: torch.device) -> nn.Module:
    """Replace every batch norm in a module by one that sees all processes; the weights are shared, not copied.

    On CUDA these are torch's, which exist for accelerators alone.
    """
    if device.type == "cuda":
        synchronised: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return synchronised
    for name, child in module.named_children():
        setattr(module, name, synchronise_batch_norms(child, device=device))
    return _SynchronisedBatchNorm(module) if isinstance(module, _BatchNorm) else module


class _SynchronisedBatchNorm(_BatchNorm):
    """Batch norm over the clips of all processes, each of which must hold equally many."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__(norm.num_features, eps=norm.eps, momentum=norm.momentum, device="meta")
        self._parameters, self._buffers = norm._parameters, norm._buffers
        self.train(norm.training)

    def forward(self, features: Float[Tensor, "B C *size"]) -> Float[Tensor, "B C *size"]:
        """Normalise by the mean and variance of all processes and learn them; in evaluation, by those learnt."""
        if not self.training:
            return super().forward(features)
        dimensions = [0, *range(2, features.ndim)]
        # Half precision has too few digits for statistics.
        exact = features.to(self.running_mean.dtype)
        mean = _mean_over_processes(exact.mean(dimensions, keepdim=True))
        centred = exact - mean
        variance = _mean_over_processes(centred.square().mean(dimensions, keepdim=True))
        self._learn(mean, variance, count=features[:, 0].numel() * distributed.get_world_size())
        weight, bias = (each.view_as(mean) for each in (self.weight, self.bias))
        return (centred * (variance + self.eps).rsqrt() * weight + bias).to(features.dtype)

    @torch.no_grad()
    def _learn(self, mean: Tensor, variance: Tensor, *, count: int) -> None:
        """Move the running statistics as torch does, with the unbiased variance."""
        self.num_batches_tracked += 1
        momentum = self.momentum if self.momentum is not None else 1 / int(self.num_batches_tracked)
        self.running_mean.lerp_(mean.flatten(), momentum)
        self.running_var.lerp_(variance.flatten() * (count / (count - 1)), momentum)

    def _check_input_dim(self, input: Tensor) -> None:
        """Take features of any number of dimensions."""


class _SumOverProcesses(Function):
    """Sum a tensor over processes; each process's copy passes its gradient to all of them."""

    @staticmethod
    def forward(_: Any, tensor: Tensor) -> Tensor:  # noqa: ANN401
        total = tensor.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total


def _mean_over_processes(tensor: Tensor) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(tensor)  # type: ignore[no-untyped-call]
    return total / distributed.get_world_size()
