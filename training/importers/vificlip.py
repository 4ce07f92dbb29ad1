"""Checkpoints of ViFi-CLIP (Rasheed et al. 2023): CLIP fine-tuned on videos, and the prompts of a CLIP that was.

Both keep the words of their classes as vectors instead of the vocabulary, which is the backbone's. Pictures are
normalised with the statistics of ImageNet.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from service.contract.labels import Label
from service.contract.manifest import Preprocessing
from training.config.adapters import DeepPromptConfig, FineTuningConfig, Mode
from training.config.model import MEAN_SCORING, ModelConfig
from training.errors import ImportProblem
from training.importers.class_texts import read_class_texts
from training.importers.conversion import (
    Converted,
    ImportSource,
    list_changed,
    require_same,
    scale_pixels,
    with_preprocessing,
)
from training.importers.mapping import Rule, Tensors, check_tensors, rename_tensors

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHORT_SIDE_PIXELS = 256
_LICENCE = "none stated by the authors; ask them before passing the weights on"
_TOKENS, _SCALE, _VISUAL = "token_embedding.weight", "logit_scale", "visual."
_TEXTS = ("prompt_learner.complete_text_embeddings",)
_PROMPTED_TEXTS = ("prompt_learner.token_prefix", "prompt_learner.token_suffix")
_IMAGE_PROMPTS = ("image_encoder.VPT", "image_encoder.transformer.resblocks.{}.VPT_shallow")
_TEXT_PROMPTS = ("prompt_learner.ctx", "text_encoder.transformer.resblocks.{}.VPT_shallow")
_RULES: tuple[Rule, ...] = (
    (r"image_encoder\.(.*)", r"visual.\1"),
    (r"text_encoder\.(.*)", r"\1"),
    (r"prompt_learner\.(complete_text_embeddings|token_prefix|token_suffix)", None),
)
# What the authors' configs call the towers that train.
_MODES: Mapping[str, Mode] = MappingProxyType({"both": "full", "image": "image", "text": "text"})


def convert_fine_tuned(given: ImportSource) -> Converted:
    """Convert a fine-tuned CLIP; what was frozen must be the backbone's.

    Raises:
        ImportProblem: a tensor is missing, unexpected or of another shape, or the backbone is another one.
    """
    clip = _read_towers(given, tensors=given.checkpoint.tensors)
    labels, template = _read_labels(given, names=_TEXTS, num_prompts=0)
    mode = _find_mode(clip, given=given)
    return Converted(
        model=_configure(given, template=template, adapters=FineTuningConfig(mode=mode)),
        backbone=with_preprocessing(given, preprocessing=_preprocessing(given)),
        adapters={
            _place(name): tensor for name, tensor in clip.items() if name not in {_TOKENS, *_list_kept(clip, mode)}
        },
        labels=labels,
        licence=_LICENCE,
    )


def convert_prompted(given: ImportSource) -> Converted:
    """Convert prompts; the fine-tuned towers below them become the backbone of the run.

    Raises:
        ImportProblem: a tensor is missing, unexpected or of another shape, the backbone is another one, or the towers
            have prompts in different numbers of layers.
    """
    tensors = dict(given.checkpoint.tensors)
    image, text = (_take_prompts(tensors, *names, source=given.source) for names in (_IMAGE_PROMPTS, _TEXT_PROMPTS))
    if len(image) != len(text):
        raise ImportProblem(
            f"{given.source} has prompts in {len(image)} layers of its image tower and in {len(text)} of its text "
            "tower; models here have as many in both"
        )
    clip = _read_towers(given, tensors=tensors)
    labels, template = _read_labels(given, names=_PROMPTED_TEXTS, num_prompts=text.shape[1])
    prompts = DeepPromptConfig(num_vision_tokens=image.shape[1], num_text_tokens=text.shape[1], depth=len(image))
    backbone = with_preprocessing(given, preprocessing=_preprocessing(given))
    return Converted(
        model=_configure(given, template=template, adapters=prompts),
        backbone=replace(backbone, config=replace(backbone.config, bridged=True), clip=clip),
        adapters={"video.vl_prompts.prompt_tokens": image, "english.vl_prompts.prompt_tokens": text},
        labels=labels,
        licence=_LICENCE,
    )


def _read_towers(given: ImportSource, *, tensors: Tensors) -> dict[str, Tensor]:
    """Read both towers under CLIP's names, with the vocabulary of the backbone."""
    clip = {_TOKENS: given.backbone.clip[_TOKENS], **rename_tensors(tensors, rules=_RULES)}
    check_tensors(clip, expected=_reference(given), source=given.source)
    return clip


def _reference(given: ImportSource) -> dict[str, Tensor]:
    """Return the backbone's towers; one that does not state a logit scale has CLIP's."""
    return {_SCALE: torch.tensor(math.log(100)), **given.backbone.clip}


def _read_labels(given: ImportSource, *, names: Sequence[str], num_prompts: int) -> tuple[tuple[Label, ...], str]:
    """Read labels and template from the vectors of the classes' texts, from which prompts are left out."""
    texts = read_class_texts(given, names=names, num_prompts=num_prompts)
    return given.choose_labels(num_classes=texts.num_classes, found=texts.names), texts.template


def _take_prompts(tensors: dict[str, Tensor], first: str, others: str, *, source: str) -> Float[Tensor, "depth n D"]:
    """Remove the prompts of a tower and stack those of its layers."""
    prompts = [tensors.pop(first)]
    while (name := others.format(len(prompts))) in tensors:
        prompts.append(tensors.pop(name))
    if shapes := {tuple(each.shape) for each in prompts[1:]} - {tuple(prompts[0].shape)}:
        raise ImportProblem(f"{source} has {first} of shape {tuple(prompts[0].shape)}, but prompts of {sorted(shapes)}")
    return torch.stack(prompts)


def _find_mode(clip: Tensors, *, given: ImportSource) -> Mode:
    """Take the mode from the config in the file, else from which towers are the backbone's.

    Raises:
        ImportProblem: the file says that a tower was frozen which is not the backbone's.
    """
    reference = _reference(given)
    stated = next((each for each in _find_settings(given.checkpoint.extras, "USE") if str(each) in _MODES), None)
    if stated is None:
        modes: tuple[Mode, ...] = ("image", "text")
        kept = [mode for mode in modes if not list_changed(clip, reference=reference, names=_list_kept(clip, mode))]
        return kept[0] if len(kept) == 1 else "full"
    mode = _MODES[stated]
    part = f"all but what USE {stated!r} trains"
    require_same(clip, reference=reference, names=_list_kept(clip, mode), source=given.source, part=part)
    return mode


def _list_kept(clip: Tensors, mode: Mode) -> list[str]:
    """List what a mode does not train, apart from the vocabulary."""
    if mode == "full":
        return []
    return [
        name for name in clip if name == _SCALE or (name != _TOKENS and name.startswith(_VISUAL) == (mode == "text"))
    ]


def _place(name: str) -> str:
    """Return the name that a tensor of CLIP has in our models."""
    if name == _SCALE:
        return name
    return f"video.{name}" if name.startswith(_VISUAL) else f"english.{name}"


def _configure(given: ImportSource, *, template: str, adapters: FineTuningConfig | DeepPromptConfig) -> ModelConfig:
    stated = next(
        (each for each in _find_settings(given.checkpoint.extras, "NUM_FRAMES") if isinstance(each, int)), None
    )
    return ModelConfig(
        num_frames=given.require_frames(stated),
        supervision="english",
        template_en=template,
        scoring=MEAN_SCORING,
        adapters=adapters,
    )


def _preprocessing(given: ImportSource) -> Preprocessing:
    size = given.backbone.config.clip.image_size_pixels
    return Preprocessing(
        input_size=size,
        resize_rule="short_side",
        resize_size=scale_pixels(_SHORT_SIDE_PIXELS, input_size=size),
        interpolation="bilinear",
        crop_rule="centre",
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


def _find_settings(value: object, key: str) -> Iterator[Any]:
    """Iterate over the values that a nested config has under a key."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if name == key:
                yield each
            yield from _find_settings(each, key)
