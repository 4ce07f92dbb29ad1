"""How near an engine is to the answer it must give, and how near it has to be."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from service.contract.precision import MIN_COSINE_BF16, Precision

# Of vectors of unit length, or as a share of the largest logit of a row: logits are as large as training makes them,
# and rounding grows with them. A proof compares engines in one place and time, where they differ by rounding alone.
PROOF_DIFFERENCE_F32 = 1e-4
# A canary compares a server, of another version and on another device, with what was written long ago. It is to notice
# a wrong model or a broken device, and not to stop a service for the order in which a new library adds.
CANARY_DIFFERENCE_F32 = 1e-3


@dataclass(frozen=True)
class Distance:
    """How far found outputs are from the expected ones.

    ``max_difference`` is over all numbers, each as a share of the largest in its vector where that is above 1;
    ``min_cosine`` is over all vectors. Either is not a number where an output is not.
    """

    max_difference: float = 0.0
    min_cosine: float = 1.0

    def __str__(self) -> str:
        return f"largest difference {self.max_difference:.2e}, smallest cosine {self.min_cosine:.6f}"

    def is_near(self, precision: Precision, *, max_difference: float) -> bool:
        """Whether it is as near as a precision demands; ``max_difference`` is that of f32."""
        if precision == "bf16":
            return self.min_cosine >= MIN_COSINE_BF16
        return self.max_difference <= max_difference


def measure_distance(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Distance:
    """Measure the distance over all outputs; found ones are cut to the shape of the expected ones."""
    differences, cosines = [], []
    for name, wanted in expected.items():
        got = found[name][tuple(slice(size) for size in wanted.shape)]
        differences.append(_differences(got, wanted).max())
        cosines.append(_cosines(got, wanted).min())
    return Distance(float(np.max(differences)), float(np.min(cosines)))


def join_distances(distances: list[Distance]) -> Distance:
    """Return the furthest of several; unlike max and min of Python, those of numpy keep what is not a number."""
    return Distance(
        float(np.max([each.max_difference for each in distances])),
        float(np.min([each.min_cosine for each in distances])),
    )


def _differences(
    got: Float32[np.ndarray, "*axes D"], wanted: Float32[np.ndarray, "*axes D"]
) -> Float32[np.ndarray, "*axes D"]:
    return np.abs(got - wanted) / np.maximum(np.abs(wanted).max(axis=-1, keepdims=True), np.float32(1))


def _cosines(a: Float32[np.ndarray, "*axes D"], b: Float32[np.ndarray, "*axes D"]) -> Float32[np.ndarray, "*axes"]:
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return (a * b).sum(axis=-1) / np.maximum(norms, np.float32(1e-12))
