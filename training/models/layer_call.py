"""Using the weights of a layer past its own ``forward``, as the towers do with open_clip's layers.

What spreads weights over processes watches for calls of a layer; other uses are made known here.
"""

from collections.abc import Callable

from torch import Tensor, nn

# The attribute of a layer with spread weights that makes them whole while it runs a function, see ``sharding``.
LEND_NAME = "lend_weights"


def call_layer(function: Callable[..., Tensor], layer: nn.Module, *inputs: Tensor | None) -> Tensor:
    """Return ``function(layer, *inputs)``, with the layer's weights whole where they are spread over processes."""
    lend: Callable[..., Tensor] | None = getattr(layer, LEND_NAME, None)
    return function(layer, *inputs) if lend is None else lend(function, *inputs)
