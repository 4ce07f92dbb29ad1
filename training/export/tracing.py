"""What both exporters share: example inputs of a graph, and a module held still while it is traced."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import config
from torch import Tensor, nn

from service.contract.graphs import LABELS, LENGTH, VIEWS, GraphSpec

# Sizes 0 and 1 would be taken for constants, and equal sizes for one axis.
_EXAMPLE_SIZES = {VIEWS: 2, LABELS: 3, LENGTH: 5}
_DTYPES = {"uint8": torch.uint8, "int32": torch.int32, "float32": torch.float32}


def example_inputs(spec: GraphSpec) -> tuple[Tensor, ...]:
    """Return inputs of ones: valid ids, a mask that hides nothing, and sizes that show which axes are dynamic."""
    return tuple(
        torch.ones([_EXAMPLE_SIZES.get(str(axis)) or int(axis) for axis in tensor.axes], dtype=_DTYPES[tensor.dtype])
        for tensor in spec.inputs
    )


@contextmanager
def held_still(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation, without gradients, and its parts back into their modes at exit."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@contextmanager
def traced(module: nn.Module) -> Iterator[None]:
    """Hold a module still and let a tracer run it with symbols for sizes."""
    checks_are_off = config.jaxtyping_disable
    # Where tests check shapes at run time, the checks would take symbols for wrong types.
    config.update("jaxtyping_disable", value=True)
    try:
        with held_still(module), warnings.catch_warnings():
            # Torch warns about its own internals and, for TorchScript, that a successor exists.
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            # Inputs that share an axis are reported as such; that is how the graphs are described.
            warnings.filterwarnings("ignore", message="# The axis name", category=UserWarning)
            # An LSTM checks the width of its input, which is fixed; and it lists its weights twice, which are swapped
            # while its graph is made.
            warnings.filterwarnings("ignore", message="Converting a tensor", module=r"torch\.nn\.modules\.rnn")
            warnings.filterwarnings("ignore", message=r"The tensor attributes .*\._flat_weights", category=UserWarning)
            yield
    finally:
        config.update("jaxtyping_disable", value=checks_are_off)
