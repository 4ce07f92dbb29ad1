"""Golden vectors: a few inputs with the outputs that torch gave at export, replayed wherever the bundle runs.

Graphs call their tensors alike; in the file, those of the Chinese tower that another graph has too end in ``_zh``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from service.contract.errors import BundleError
from service.contract.graphs import GraphSpec, TensorSpec

Arrays = Mapping[str, np.ndarray]

_SHARED = ("token_ids", "embedding")


class GoldenVectors:
    """The golden vectors of a bundle's graphs, under the graphs' own names."""

    def __init__(self, arrays: Arrays, *, source: str) -> None:
        self._arrays = arrays
        self._source = source

    def of(self, spec: GraphSpec) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the inputs and outputs of one graph.

        Raises:
            BundleError: an array is missing; the message names all that are.
        """
        if missing := sorted({_key(spec, tensor.name) for tensor in (*spec.inputs, *spec.outputs)} - set(self._arrays)):
            raise BundleError(f"{self._source} lacks {', '.join(missing)}; export the bundle again")
        inputs, outputs = (self._take(spec, tensors) for tensors in (spec.inputs, spec.outputs))
        return inputs, outputs

    def _take(self, spec: GraphSpec, tensors: Iterable[TensorSpec]) -> dict[str, np.ndarray]:
        return {tensor.name: self._arrays[_key(spec, tensor.name)] for tensor in tensors}


def read_golden(path: Path) -> GoldenVectors:
    """Read the file of a bundle.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        return GoldenVectors(load_file(path), source=str(path))
    except (OSError, SafetensorError) as error:
        raise BundleError(f"{path} is not a file of golden vectors: {error}") from error


def write_golden(path: Path, vectors: Iterable[tuple[GraphSpec, Arrays]]) -> None:
    """Write the inputs and outputs of each graph to one file."""
    path.write_bytes(save({_key(spec, name): array for spec, arrays in vectors for name, array in arrays.items()}))


def _key(spec: GraphSpec, name: str) -> str:
    return f"{name}_zh" if spec.name == "text_encoder_zh" and name in _SHARED else name
