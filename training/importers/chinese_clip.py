"""The text tower of Chinese-CLIP (Yang et al. 2022), from its own ``.pt`` files or from a Hugging Face folder.

Its own files have the names that we use, under ``bert.``, and a projection [width, D]; with flash attention the query,
key and value of a layer are one tensor. Hugging Face's have other prefixes and the projection transposed. The image
tower, the logit scale, the pooler and buffers are left behind, and the origin says how many tensors that were.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from training.config.towers import ChineseTextConfig
from training.errors import ImportProblem
from training.importers.chinese_folder import (
    ChineseFiles,
    check_stated_sizes,
    fetch_folder,
    find_files,
    read_vocabulary,
)
from training.importers.container import read_checkpoint
from training.importers.mapping import check_family, check_tensors
from training.importers.origin import Origin
from training.models.chinese_text import ChineseTextTower

# The length that Chinese-CLIP was trained with, [CLS] and [SEP] included.
MAX_LENGTH = 52
_HEAD_WIDTH = 64
_LICENCE = "MIT (Chinese-CLIP), where these are the weights that it released"
_PROJECTION = "text_projection"
_WORDS = "bert.embeddings.word_embeddings.weight"
_HUGGING_FACE = "text_model."
_LEFT_BEHIND = re.compile(
    r"visual\..*|vision_model\..*|visual_projection\.weight|logit_scale"
    r"|(bert|text_model)\.(pooler\..*|embeddings\.(position_ids|token_type_ids))"
)
_FUSED = ".attention.self.Wqkv."
_FUSED_OUTPUT, _OUTPUT = ".attention.self.out_proj.", ".attention.output.dense."

Fetch = Callable[[str], Path]


@dataclass(frozen=True)
class ChineseWeights:
    """A Chinese text tower in single precision, with its sizes, its vocabulary in the order of ids and its origin."""

    config: ChineseTextConfig
    tensors: Mapping[str, Tensor]
    vocabulary: tuple[str, ...]
    origin: Origin

    @property
    def max_length(self) -> int:
        """Positions of a text, start and end included."""
        return min(MAX_LENGTH, self.config.num_positions)


def read_chinese(source: str, *, fetch: Fetch = fetch_folder) -> ChineseWeights:
    """Read the text tower from a ``.pt`` file with ``vocab.txt`` beside it, a folder, or a repository of the hub.

    Raises:
        ImportProblem: a file is missing or cannot be fetched or read; tensors are missing, unexpected or of another
            shape, and every one is named; or the vocabulary has another size than the tower.
    """
    files = find_files(source, fetch=fetch)
    checkpoint, name = read_checkpoint(files.weights), files.weights.name
    check_family(checkpoint.tensors, family="chinese_clip", source=name)
    kept = {key: tensor for key, tensor in checkpoint.tensors.items() if not _LEFT_BEHIND.fullmatch(key)}
    tensors = _rename(kept, source=name)
    config = _infer_sizes(tensors, source=name)
    check_stated_sizes(files, config)
    with torch.device("meta"):
        shapes = ChineseTextTower(config).state_dict()
    check_tensors(tensors, expected=shapes, source=name)
    num_dropped = len(checkpoint.tensors) - len(kept)
    return ChineseWeights(
        config,
        tensors,
        _matching_vocabulary(files, size=config.vocab_size),
        Origin(
            family="chinese_clip",
            source=files.name,
            sha256=checkpoint.digest,
            licence=_LICENCE,
            remarks=(f"{num_dropped} tensors of the image tower, the pooler and buffers were left behind",),
        ),
    )


def _matching_vocabulary(files: ChineseFiles, *, size: int) -> tuple[str, ...]:
    """Read the vocabulary, sure that it has an entry for every row of the tower."""
    vocabulary = read_vocabulary(files.vocabulary)
    if len(vocabulary) != size:
        raise ImportProblem(
            f"{files.vocabulary} has {len(vocabulary)} entries, but {files.weights.name} embeds {size}; give the "
            "vocabulary that belongs to these weights"
        )
    return vocabulary


def _rename(tensors: Mapping[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """Bring either form to the names of ``ChineseTextTower``, its projection as [width, D]."""
    if any(name.startswith(_HUGGING_FACE) for name in tensors):
        renamed = {re.sub(rf"^{re.escape(_HUGGING_FACE)}", "bert.", name): tensor for name, tensor in tensors.items()}
        if f"{_PROJECTION}.weight" in renamed:
            renamed[_PROJECTION] = renamed.pop(f"{_PROJECTION}.weight").T
    else:
        renamed = dict(tensors)
    return _split_fused(renamed, source=source)


def _split_fused(tensors: Mapping[str, Tensor], *, source: str) -> dict[str, Tensor]:
    """Take apart the query, key and value of flash attention, in this order."""
    split: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if _FUSED not in name:
            split[name.replace(_FUSED_OUTPUT, _OUTPUT)] = tensor
            continue
        if len(tensor) % 3:
            raise ImportProblem(f"{source}: {name} is {tuple(tensor.shape)}; query, key and value have equal shares")
        for part, rows in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
            split[name.replace(_FUSED, f".attention.self.{part}.")] = rows.clone()
    return split


def _infer_sizes(tensors: Mapping[str, Tensor], *, source: str) -> ChineseTextConfig:
    """Read the sizes off the tensors; heads, which no tensor shows, are 64 wide (Devlin et al. 2019)."""
    positions, inner = "bert.embeddings.position_embeddings.weight", "bert.encoder.layer.0.intermediate.dense.weight"
    if missing := [name for name in (_WORDS, positions, inner, _PROJECTION) if name not in tensors]:
        raise ImportProblem(f"{source} holds no text tower of Chinese-CLIP: it lacks {', '.join(missing)}")
    vocab_size, width = tensors[_WORDS].shape
    if len(tensors[_PROJECTION]) != width:
        raise ImportProblem(
            f"{source}: the projection takes vectors of {len(tensors[_PROJECTION])}, but the tower is {width} wide; it "
            "is transposed, or belongs to another tower"
        )
    layers = {name.split(".")[3] for name in tensors if name.startswith("bert.encoder.layer.")}
    return ChineseTextConfig(
        embed_dim=tensors[_PROJECTION].shape[1],
        vocab_size=vocab_size,
        width=width,
        num_layers=len(layers),
        num_heads=max(1, width // _HEAD_WIDTH),
        mlp_width=len(tensors[inner]),
        num_positions=len(tensors[positions]),
    )
