"""The golden vectors of a model: a few inputs, and what torch makes of them."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from service.contract.golden import Arrays
from service.contract.graphs import GraphSpec, TensorSpec, graph_specs
from service.contract.labels import Label
from service.contract.manifest import Manifest
from training.export.engines import torch_engine
from training.export.graphs import tower
from training.models.video_clip import Tokenizers, VideoCLIP

_NUM_VIEWS = 2
_NUM_TEXTS = 4
_FALLBACK = (Label("clapping", "鼓掌"), Label("playing the violin", "拉小提琴"))
# Pictures of this many blocks a side have edges and surfaces; pixel noise would have neither.
_NUM_BLOCKS = 8


def compute_golden(
    model: VideoCLIP, *, tokenizers: Tokenizers, manifest: Manifest, labels: Sequence[Label]
) -> Iterator[tuple[GraphSpec, Arrays]]:
    """Run every tower once in torch, on drawn pictures and on the first of ``labels``, and give both ends."""
    for spec in graph_specs(manifest):
        inputs = _golden_inputs(spec, tokenizers=tokenizers, manifest=manifest, labels=(*labels, *_FALLBACK))
        yield spec, {**inputs, **torch_engine(tower(model, spec.name), spec=spec)(inputs)}


def draw_frames(spec: TensorSpec, *, num_views: int, rng: np.random.Generator) -> UInt8[np.ndarray, "V *frames H W 3"]:
    """Draw views of coloured blocks with a little noise, in the shape that the video graph takes."""
    *frames, height, width, channels = (int(axis) for axis in spec.axes[1:])
    blocks = rng.integers(32, 224, size=(num_views, *frames, _NUM_BLOCKS, _NUM_BLOCKS, channels))
    side = -(-max(height, width) // _NUM_BLOCKS)
    pictures = blocks.repeat(side, axis=-3).repeat(side, axis=-2)[..., :height, :width, :]
    return (pictures + rng.integers(-16, 16, size=pictures.shape)).astype(np.uint8)


def _golden_inputs(
    spec: GraphSpec, *, tokenizers: Tokenizers, manifest: Manifest, labels: Sequence[Label]
) -> dict[str, np.ndarray]:
    if spec.name == "video_encoder":
        return {"frames": draw_frames(spec.inputs[0], num_views=_NUM_VIEWS, rng=np.random.default_rng(0))}
    if spec.name == "text_encoder_zh" and tokenizers.chinese is not None and manifest.chinese is not None:
        texts = [label.zh for label in labels if label.zh is not None][:_NUM_TEXTS]
        chinese = tokenizers.chinese.encode(texts, template=manifest.chinese.template)
        return {"token_ids": chinese.token_ids, "attention_mask": chinese.attention_mask}
    texts = [label.en for label in labels if label.en is not None][:_NUM_TEXTS]
    template, word_set = manifest.english.template, manifest.scoring.word_set
    english = tokenizers.english.encode(texts, template=template, word_set=word_set)
    return {"token_ids": english.token_ids, "eot_index": english.eot_index}
