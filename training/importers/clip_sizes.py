"""Sizes of a CLIP, read off its tensors and compared with those of a named architecture."""

import math
from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor

from training.config.towers import ClipConfig
from training.errors import ImportProblem
from training.importers.mapping import check_tensors
from training.models.clip import build_clip, clip_config, open_clip

# The width of a head in every CLIP whose file does not say (Radford et al. 2021).
_HEAD_WIDTH = 64
_ANCHORS = (
    "visual.conv1.weight",
    "visual.positional_embedding",
    "visual.proj",
    "token_embedding.weight",
    "positional_embedding",
    "ln_final.weight",
    "text_projection",
)
# What no tensor shows.
_UNSEEN = ("quick_gelu", "vision_heads", "text_heads")
_KNOWN_NAMES = ("ViT-B-32", "ViT-B-16", "ViT-B-16-plus-240", "ViT-L-14", "ViT-L-14-336", "ViT-H-14")
_VISION_KEYS = frozenset({"image_size", "layers", "width", "head_width", "patch_size"})
_TEXT_KEYS = frozenset({"context_length", "vocab_size", "width", "heads", "layers"})


def infer_sizes(tensors: Mapping[str, Tensor], *, quick_gelu: bool, source: str) -> ClipConfig:
    """Read the sizes of a ViT CLIP off its tensors; heads, which no tensor shows, are taken to be 64 wide.

    Raises:
        ImportProblem: a tensor that shows a size is missing, or the sizes contradict each other.
    """
    if missing := [name for name in _ANCHORS if name not in tensors]:
        raise ImportProblem(f"{source} is no ViT CLIP under OpenAI's names: it lacks {', '.join(missing)}")
    width, _, patch, _ = tensors["visual.conv1.weight"].shape
    num_positions = tensors["visual.positional_embedding"].shape[0]
    vocab_size, text_width = tensors["token_embedding.weight"].shape
    try:
        return ClipConfig(
            embed_dim=tensors["text_projection"].shape[1],
            quick_gelu=quick_gelu,
            image_size_pixels=patch * math.isqrt(num_positions - 1),
            patch_size_pixels=patch,
            vision_width=width,
            vision_layers=_count_layers(tensors, prefix="visual.transformer.resblocks."),
            vision_heads=max(1, width // _HEAD_WIDTH),
            vocab_size=vocab_size,
            context_length=tensors["positional_embedding"].shape[0],
            text_width=text_width,
            text_layers=_count_layers(tensors, prefix="transformer.resblocks."),
            text_heads=max(1, text_width // _HEAD_WIDTH),
        )
    except ValueError as error:
        raise ImportProblem(f"{source} has sizes that contradict each other: {error}") from error


def architecture_sizes(architecture: str) -> ClipConfig:
    """Return the sizes of an open_clip architecture that is built as OpenAI's CLIP is.

    Raises:
        ImportProblem: the architecture is unknown, or differs in more than sizes.
    """
    try:
        sizes = clip_config(architecture)
    except ValueError as error:
        raise ImportProblem(str(error)) from error
    known = open_clip.get_model_config(architecture)
    peculiar = sorted({*known["vision_cfg"]} - _VISION_KEYS | {*known["text_cfg"]} - _TEXT_KEYS)
    if peculiar:
        raise ImportProblem(
            f"architecture is {architecture!r}, which differs from OpenAI's CLIP in {', '.join(peculiar)}; use one of "
            "its sizes alone, such as 'ViT-B-16' or 'ViT-L-14'"
        )
    return sizes


def check_sizes(tensors: Mapping[str, Tensor], *, architecture: str, source: str) -> ClipConfig:
    """Check that a file holds exactly the tensors of an architecture, and return its sizes.

    Raises:
        ImportProblem: sizes differ, and the message says which and whose they are; or tensors are missing, unexpected
            or of another shape, and every one of them is named.
    """
    expected = architecture_sizes(architecture)
    found = infer_sizes(tensors, quick_gelu=expected.quick_gelu, source=source)
    if differences := _differences(found, expected):
        sentence = ", ".join(f"{name} is {own}, not {wanted}" for name, own, wanted in differences)
        raise ImportProblem(f"{source} is not {architecture}: {sentence}{_suggest(found)}")
    with torch.device("meta"):
        shapes = build_clip(expected).state_dict()
    check_tensors(tensors, expected=shapes, source=source)
    return expected


def _differences(found: ClipConfig, expected: ClipConfig) -> list[tuple[str, int, int]]:
    own, wanted = asdict(found), asdict(expected)
    return [(name, own[name], wanted[name]) for name in own if name not in _UNSEEN and own[name] != wanted[name]]


def _suggest(found: ClipConfig) -> str:
    """Name the architecture whose sizes were found, where it is a well known one."""
    names = [name for name in _KNOWN_NAMES if not _differences(found, clip_config(name))]
    return f"; its sizes are those of {names[0]}" if names else ""


def _count_layers(tensors: Mapping[str, Tensor], *, prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in tensors if name.startswith(prefix)})
