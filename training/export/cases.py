"""Inputs that a graph is checked on beyond the golden ones: batch sizes, every label length, padding."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32

from service.contract.golden import Arrays
from service.contract.graphs import GraphSpec
from training.export.golden import draw_frames

# The shortest prompt: start, one token, end.
MIN_LENGTH = 3
_BATCH_SIZES = (1, 3)
_NUM_LABELS = 2
_NUM_PADDED_LENGTHS = 8


@dataclass(frozen=True)
class Comparison:
    """Inputs for the engine under test, and inputs whose reference answer it must give.

    They differ where padding is tested: the answer to the unpadded input is the leading part of the padded one's.
    """

    inputs: Arrays
    reference_inputs: Arrays


@dataclass(frozen=True)
class Case:
    """Comparisons that are reported together."""

    name: str
    comparisons: tuple[Comparison, ...]

    @property
    def repeats_reference(self) -> bool:
        """Whether the reference would only be compared with itself."""
        return all(each.inputs is each.reference_inputs for each in self.comparisons)


def draw_cases(spec: GraphSpec, *, vocabulary_size: int, max_length: int) -> Iterator[Case]:
    """Draw the cases of one graph, the same at every call; a video graph needs no vocabulary and no length."""
    rng = np.random.default_rng(1)
    if spec.name == "video_encoder":
        for size in _BATCH_SIZES:
            yield _same(f"batch {size}", [{"frames": draw_frames(spec.inputs[0], num_views=size, rng=rng)}])
        return
    lengths = range(MIN_LENGTH, max_length + 1)
    ids = {length: rng.integers(0, vocabulary_size, (_NUM_LABELS, length), dtype=np.int32) for length in lengths}
    for size in _BATCH_SIZES:
        yield _same(f"batch {size}", [_text_inputs(spec, ids[max_length][[0] * size])])
    yield _same(f"lengths {MIN_LENGTH} to {max_length}", [_text_inputs(spec, ids[length]) for length in lengths])
    step = max(1, max_length // _NUM_PADDED_LENGTHS)
    yield Case(
        f"padded to {max_length}",
        tuple(
            Comparison(
                _padded(_text_inputs(spec, ids[length]), filler=ids[max_length]), _text_inputs(spec, ids[length])
            )
            for length in range(MIN_LENGTH, max_length, step)
        ),
    )


def _same(name: str, inputs: Sequence[Arrays]) -> Case:
    return Case(name, tuple(Comparison(arrays, arrays) for arrays in inputs))


def _text_inputs(spec: GraphSpec, token_ids: Int32[np.ndarray, "L length"]) -> dict[str, np.ndarray]:
    """Let every label but the first end early."""
    num_labels, length = token_ids.shape
    stops = np.full(num_labels, length, dtype=np.int32)
    stops[1:] = max(MIN_LENGTH, length // 2)
    if spec.name == "text_encoder_en":
        return {"token_ids": token_ids, "eot_index": stops - 1}
    return {"token_ids": token_ids, "attention_mask": (np.arange(length) < stops[:, None]).astype(np.int32)}


def _padded(inputs: Arrays, *, filler: Int32[np.ndarray, "L max_length"]) -> dict[str, np.ndarray]:
    """Lengthen a text's inputs with arbitrary ids, which the masks must hide."""
    padded = dict(inputs)
    length = inputs["token_ids"].shape[1]
    padded["token_ids"] = np.concatenate([inputs["token_ids"], filler[:, length:]], axis=1)
    if "attention_mask" in padded:
        padded["attention_mask"] = np.pad(padded["attention_mask"], ((0, 0), (0, filler.shape[1] - length)))
    return padded
