"""The canary: a bundle's golden inputs replayed through the real graphs and compared with what torch gave at export."""

from collections.abc import Iterable, Mapping

import numpy as np

from service.contract.agreement import CANARY_DIFFERENCE_F32, measure_distance
from service.contract.errors import EncoderUnavailableError
from service.contract.golden import GoldenVectors
from service.contract.graphs import GraphSpec
from service.contract.precision import MIN_COSINE_BF16, Precision
from service.encoders.base import Graph
from service.encoders.towers import checked_output


class Canary:
    """Golden inputs and outputs of the graphs of one bundle.

    Raises:
        BundleError: the golden vectors lack an array of a graph.
    """

    def __init__(self, golden: GoldenVectors, *, specs: Iterable[GraphSpec], graphs: Mapping[str, Graph]) -> None:
        self._golden = {spec.name: golden.of(spec) for spec in specs}
        self._graphs = graphs

    async def check(self) -> None:
        """Replay every graph.

        Raises:
            EncoderUnavailableError: an answer departs from the golden one by more than its precision explains; the
                message names the graph, the output and both figures.
        """
        for name, (inputs, expected) in self._golden.items():
            graph = self._graphs[name]
            outputs = await graph.replay(inputs)
            for key, wanted in expected.items():
                found = checked_output(outputs, key, rank=wanted.ndim, num_rows=len(wanted))
                _compare(found, wanted, what=f"{name} {key}", precision=graph.precision)


def _compare(found: np.ndarray, expected: np.ndarray, *, what: str, precision: Precision) -> None:
    if found.shape != expected.shape:
        raise EncoderUnavailableError(f"{what} has shape {found.shape}; the golden answer has {expected.shape}")
    distance = measure_distance({what: found}, {what: expected})
    if distance.is_near(precision, max_difference=CANARY_DIFFERENCE_F32):
        return
    if precision == "bf16":
        raise EncoderUnavailableError(
            f"{what} has cosine {distance.min_cosine:.5f} to the golden answer; at least {MIN_COSINE_BF16} is needed"
        )
    raise EncoderUnavailableError(
        f"{what} departs from the golden answer by {distance.max_difference:.2e}; at most {CANARY_DIFFERENCE_F32} is "
        "allowed"
    )
