"""Backbone folders from public weights: a CLIP, a Chinese text tower and their tokenizers, with a record of origins."""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from tokenizers import Tokenizer

from service.contract.tokenizer import CLS, SEP, UNKNOWN, ChineseTokenizer, EnglishTokenizer
from training.config.model import CLIP_PREPROCESSING, BackboneConfig, ModelConfig
from training.config.towers import ChineseTextConfig
from training.errors import ImportProblem
from training.importers.chinese_clip import ChineseWeights, read_chinese
from training.importers.clip_sizes import architecture_sizes
from training.importers.open_clip import SHORT_SIDE_PIXELS, ClipWeights, read_clip
from training.importers.origin import ORIGIN_NAME, Origin, read_origins, render_origins
from training.models.chinese_text import ChineseTextTower
from training.models.clip import build_clip, open_clip
from training.models.tokenizers import build_chinese_tokenizer, build_english_tokenizer
from training.models.video_clip import Tokenizers, VideoCLIP
from training.runs.backbone import Backbone, read_backbone, write_backbone

CLIP_ORIGIN, CHINESE_ORIGIN = "clip", "chinese"
# CLIP's vocabulary, and its entries that are no merges: bytes, bytes at word ends, start and end.
_NUM_ENTRIES, _NUM_PLAIN_ENTRIES = 49408, 2 * 256 + 2
# Where the made-up vocabulary takes its characters from, so that Chinese texts have tokens.
_FIRST_HAN = 0x4E00
_PADDING, _MASK = "[PAD]", "[MASK]"
_RANDOM = Origin(family="random", source="drawn at random", sha256=None, licence="none needed")


@dataclass(frozen=True)
class PublicBackbone:
    """A backbone and, by ``clip`` and ``chinese``, where its towers come from."""

    backbone: Backbone
    origins: Mapping[str, Origin]


def read_public_backbone(architecture: str, *, pretrained: str, chinese: str | None) -> PublicBackbone:
    """Read a CLIP and, if one is named, a Chinese text tower of the same joint space dimension.

    Raises:
        ImportProblem: weights cannot be found, fetched or read, are of another family or size, or do not go together.
    """
    return join_towers(read_clip(architecture, pretrained), None if chinese is None else read_chinese(chinese))


def join_towers(clip: ClipWeights, chinese: ChineseWeights | None) -> PublicBackbone:
    """Make one backbone of a CLIP and a Chinese text tower.

    Raises:
        ImportProblem: their joint spaces differ in dimension, or a vocabulary does not fit its tower.
    """
    if chinese is not None and chinese.config.embed_dim != clip.config.embed_dim:
        raise ImportProblem(
            f"{chinese.origin.source} embeds texts in {chinese.config.embed_dim} dimensions, and {clip.origin.source} "
            f"in {clip.config.embed_dim}; give a Chinese tower of the same joint dimension"
        )
    config = BackboneConfig(
        clip=clip.config, chinese=None if chinese is None else chinese.config, preprocessing=clip.preprocessing
    )
    origins = {CLIP_ORIGIN: clip.origin}
    tokenizers = Tokenizers(_english_tokenizer(clip), None)
    if chinese is None:
        return PublicBackbone(Backbone(config, clip.tensors, None, tokenizers), origins)
    backbone = Backbone(
        replace(config, max_length_zh=chinese.max_length),
        clip.tensors,
        chinese.tensors,
        replace(tokenizers, chinese=_chinese_tokenizer(chinese)),
    )
    return PublicBackbone(backbone, {**origins, CHINESE_ORIGIN: chinese.origin})


def draw_random_backbone(architecture: str) -> PublicBackbone:
    """Draw towers of an architecture's size, the same at every call, for sizing and timing; they know nothing.

    The Chinese tower has Chinese-CLIP's size and a made-up vocabulary.

    Raises:
        ImportProblem: the architecture is unknown or has another text tower than OpenAI's CLIP.
    """
    size = architecture_sizes(architecture)
    pixels = size.image_size_pixels
    pictures = CLIP_PREPROCESSING.model_copy(
        update={"input_size": pixels, "resize_size": max(pixels, SHORT_SIDE_PIXELS)}
    )
    config = ChineseTextConfig(embed_dim=size.embed_dim)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        clip, chinese = build_clip(size).state_dict(), ChineseTextTower(config).state_dict()
    vocabulary = make_vocabulary(config.vocab_size)
    made_up = replace(_RANDOM, remarks=(f"a made-up vocabulary of {config.vocab_size} entries",))
    return join_towers(ClipWeights(size, pictures, clip, _RANDOM), ChineseWeights(config, chinese, vocabulary, made_up))


def make_vocabulary(size: int) -> tuple[str, ...]:
    """Make up a WordPiece vocabulary of single characters, with BERT's special tokens."""
    special = (_PADDING, UNKNOWN, CLS, SEP, _MASK)
    return (*special, *(chr(_FIRST_HAN + index) for index in range(size - len(special))))


def write_public_backbone(towers: PublicBackbone, directory: Path) -> None:
    """Write a backbone folder with its record of origins; training starts from it like from any other.

    Raises:
        RunError: the folder exists.
    """
    own = towers.backbone
    write_backbone(
        directory,
        config=own.config,
        clip=own.clip,
        chinese=own.chinese,
        tokenizer_en=Tokenizer.from_str(own.tokenizers.english.to_json()),
        tokenizer_zh=None if own.tokenizers.chinese is None else Tokenizer.from_str(own.tokenizers.chinese.to_json()),
    )
    (directory / ORIGIN_NAME).write_text(render_origins(towers.origins), encoding="utf-8")


def read_stored_backbone(directory: Path) -> PublicBackbone:
    """Read a backbone folder, whoever wrote it.

    Raises:
        RunError: it is none, or a file is missing or broken.
        ImportProblem: its record of origins cannot be read.
    """
    return PublicBackbone(read_backbone(directory), read_origins(directory))


def build_vanilla(towers: PublicBackbone, *, num_frames: int) -> VideoCLIP:
    """Build CLIP as it is on a backbone, for evaluation: one feature a frame, averaged, nothing trained.

    Raises:
        RunError: a tensor is missing, unexpected or of another shape.
    """
    config = ModelConfig(num_frames=num_frames).without_adapters()
    return towers.backbone.build(config).eval()


def _english_tokenizer(clip: ClipWeights) -> EnglishTokenizer:
    """Build the tokenizer of OpenAI's CLIP, which open_clip's towers share, from the merges that open_clip ships."""
    if clip.config.vocab_size != _NUM_ENTRIES:
        raise ImportProblem(
            f"{clip.origin.source} has a vocabulary of {clip.config.vocab_size} entries, but CLIP's tokenizer makes "
            f"{_NUM_ENTRIES}; these weights need another tokenizer"
        )
    lines = gzip.decompress(Path(open_clip.tokenizer.default_bpe()).read_bytes()).decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 1 + _NUM_ENTRIES - _NUM_PLAIN_ENTRIES]]
    tokenizer = build_english_tokenizer([(left, right) for left, right in merges])
    return EnglishTokenizer(tokenizer, max_length=clip.config.context_length)


def _chinese_tokenizer(chinese: ChineseWeights) -> ChineseTokenizer:
    try:
        return ChineseTokenizer(build_chinese_tokenizer(chinese.vocabulary), max_length=chinese.max_length)
    except ValueError as error:
        raise ImportProblem(f"the vocabulary of {chinese.origin.source} cannot be used: {error}") from error
