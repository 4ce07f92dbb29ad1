"""The canary: a bundle's golden inputs replayed through the real graphs and compared with what torch gave at export."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError
from safetensors.numpy import load_file

from service.contract.errors import BundleError, EncoderUnavailableError
from service.contract.precision import MIN_COSINE_BF16
from service.encoders.base import Graph
from service.encoders.towers import checked_output

# Of features and embeddings, which have unit length, or as a share of the largest logit of a row.
MAX_DIFFERENCE_F32 = 1e-3


@dataclass(frozen=True)
class _Replay:
    """Which golden arrays go into a graph, and which must come out: name in the graph -> name in the file."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


_REPLAYS = {
    "video_encoder": _Replay({"frames": "frames"}, {"frame_features": "frame_features"}),
    "text_encoder_en": _Replay(
        {"token_ids": "token_ids", "eot_index": "eot_index"}, {"embedding": "embedding", "words": "words"}
    ),
    "text_encoder_zh": _Replay(
        {"token_ids": "token_ids_zh", "attention_mask": "attention_mask"}, {"embedding": "embedding_zh"}
    ),
}


class Canary:
    """Golden inputs and outputs of the graphs of one bundle."""

    def __init__(self, golden: Mapping[str, np.ndarray], *, graphs: Mapping[str, Graph]) -> None:
        self._golden = golden
        self._graphs = graphs

    @classmethod
    def from_file(cls, path: Path, *, graphs: Mapping[str, Graph]) -> "Canary":
        """Load ``golden.safetensors``.

        Raises:
            BundleError: the file cannot be read, or lacks an array that a graph needs.
        """
        try:
            golden = load_file(path)
        except (OSError, SafetensorError) as error:
            raise BundleError(f"{path} is not a file of golden vectors: {error}") from error
        needed = {key for name in graphs for key in (*_REPLAYS[name].inputs.values(), *_REPLAYS[name].outputs.values())}
        if missing := sorted(needed - set(golden)):
            raise BundleError(f"{path} lacks {', '.join(missing)}; export the bundle again")
        return cls(golden, graphs=graphs)

    async def check(self) -> None:
        """Replay every graph.

        Raises:
            EncoderUnavailableError: an answer departs from the golden one by more than its precision explains; the
                message names the graph, the output and both figures.
        """
        for name, graph in self._graphs.items():
            replay = _REPLAYS[name]
            outputs = await graph.run({key: self._golden[stored] for key, stored in replay.inputs.items()})
            for key, stored in replay.outputs.items():
                expected = self._golden[stored]
                found = checked_output(outputs, key, rank=expected.ndim, num_rows=len(expected))
                _compare(found, expected, what=f"{name} {key}", exact=graph.precision == "f32")


def _compare(
    found: Float32[np.ndarray, "..."], expected: Float32[np.ndarray, "..."], *, what: str, exact: bool
) -> None:
    if found.shape != expected.shape:
        raise EncoderUnavailableError(f"{what} has shape {found.shape}; the golden answer has {expected.shape}")
    if exact:
        scale = np.maximum(np.abs(expected).max(axis=-1, keepdims=True), 1)
        difference = float((np.abs(found - expected) / scale).max())
        if difference > MAX_DIFFERENCE_F32:
            raise EncoderUnavailableError(
                f"{what} departs from the golden answer by {difference:.2e}; at most {MAX_DIFFERENCE_F32} is allowed"
            )
        return
    norms = np.linalg.norm(found, axis=-1) * np.linalg.norm(expected, axis=-1)
    cosine = float(((found * expected).sum(axis=-1) / np.maximum(norms, 1e-12)).min())
    if cosine < MIN_COSINE_BF16:
        raise EncoderUnavailableError(
            f"{what} has cosine {cosine:.5f} to the golden answer; at least {MIN_COSINE_BF16} is needed"
        )
