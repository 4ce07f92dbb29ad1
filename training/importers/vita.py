"""Checkpoints of Vita-CLIP (Wasim et al. 2023), whose image branch is temporal prompts without reparameterization.

Its text branch learned a context for each class; such contexts know no other labels and are left behind.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from service.contract.labels import Label
from service.contract.manifest import Preprocessing
from training.config.adapters import TemporalPromptConfig
from training.config.model import CLIP_MEAN, CLIP_STD, ModelConfig, ScoringConfig
from training.errors import ImportProblem
from training.importers.class_texts import read_class_texts
from training.importers.conversion import Converted, ImportSource, require_same, shapes_of, with_preprocessing
from training.importers.mapping import Rule, Tensors, check_tensors, rename_tensors
from training.runs.backbone import Backbone

_LICENCE = "MIT (Vita-CLIP)"
_BLOCK, _LAYER, _PROMPTS = r"visual\.blocks\.(\d+)\.", r"visual.transformer.resblocks.\1.", r"video.prompts.\1."
_BIAS, _POSITIONS, _GLOBAL = "visual.patch_embed.proj.bias", "visual.positional_embedding", "visual.global_prompts"
_TEMPORAL, _SCALE, _CONTEXT = "video.temporal_embedding", "logit_scale", "prompt_learner.ctx"
_FIRST = "video.prompts.0."
# Classes, words and channels; a context that all classes share lacks the first.
_NUM_AXES_OF_CLASSES = 3
_DEFAULT_TAU = 0.01
_TEXTS = ("prompt_learner.token_prefix", "prompt_learner.token_suffix")


def _projections(source: str, target: str) -> tuple[Rule, ...]:
    """Join the maps of queries, keys and values, and rename that of outputs."""
    joined = tuple(
        (rf"{source}\.{name}_proj\.(weight|bias)", rf"{target}.in_proj_\2#{index}/3")
        for index, name in enumerate("qkv")
    )
    return (*joined, (rf"{source}\.out_proj\.(weight|bias)", rf"{target}.out_proj.\2"))


_RULES: tuple[Rule, ...] = (
    *_projections(rf"{_BLOCK}attn", f"{_LAYER}attn"),
    *_projections(rf"{_BLOCK}summary_attn_layer", f"{_PROMPTS}attention"),
    (rf"{_BLOCK}norm([12])\.(weight|bias)", rf"{_LAYER}ln_\2.\3"),
    (rf"{_BLOCK}mlp\.fc1\.(weight|bias)", rf"{_LAYER}mlp.c_fc.\2"),
    (rf"{_BLOCK}mlp\.fc2\.(weight|bias)", rf"{_LAYER}mlp.c_proj.\2"),
    (rf"{_BLOCK}cls_proj\.(weight|bias)", rf"{_PROMPTS}project_cls.\2"),
    (rf"{_BLOCK}summary_ln\.(weight|bias)", rf"{_PROMPTS}norm.\2"),
    (rf"{_BLOCK}local_prompts", rf"{_PROMPTS}interchange_prompts"),
    (r"visual\.cls_token", "visual.class_embedding"),
    (r"visual\.pos_embed", _POSITIONS),
    (r"visual\.patch_embed\.proj\.weight", "visual.conv1.weight"),
    (r"visual\.time_embed", _TEMPORAL),
    (r"textual\.(.*)", r"\1"),
    (r"prompt_learner\.(ctx|token_prefix|token_suffix)", None),
)


def convert(given: ImportSource) -> Converted:
    """Convert the image branch; its frozen towers must be the backbone's, but for the positions of patches.

    What its patch embedding adds to every patch becomes a part of their positions.

    Raises:
        ImportProblem: a tensor is missing, unexpected or of another shape, the backbone is another one, or clips have
            another number of frames than is asked for.
    """
    tensors = rename_tensors(given.checkpoint.tensors, rules=_RULES)
    model, backbone = _configure(given, tensors=tensors), with_preprocessing(given, preprocessing=_preprocessing(given))
    check_tensors(tensors, expected=_expect(tensors, backbone=backbone, model=model), source=given.source)
    labels, remarks = _read_labels(given)
    clip = {name: tensors.get(name, tensor) for name, tensor in backbone.clip.items()}
    frozen = [name for name in clip if name not in (_POSITIONS, _SCALE)]
    require_same(clip, reference=backbone.clip, names=frozen, source=given.source, part="its towers")
    clip[_POSITIONS] = torch.cat([clip[_POSITIONS][:1], clip[_POSITIONS][1:] + tensors[_BIAS]])
    return Converted(
        model=model,
        backbone=replace(backbone, clip=clip),
        adapters=_read_prompts(tensors),
        labels=labels,
        licence=_LICENCE,
        remarks=remarks,
    )


def _configure(given: ImportSource, *, tensors: Tensors) -> ModelConfig:
    num_frames, num_prompts = tensors[f"{_FIRST}interchange_prompts"].shape[-2], 1
    if given.num_frames not in (None, num_frames):
        raise ImportProblem(
            f"clips of {given.source} have {num_frames} frames, and --frames asks for {given.num_frames}; its prompts "
            "cannot be stretched, so leave it out"
        )
    if _GLOBAL in tensors:
        num_prompts = tensors[_GLOBAL].shape[-2]
    return ModelConfig(
        num_frames=num_frames,
        supervision="english",
        scoring=ScoringConfig(
            aggregation="mean", tau=math.exp(-float(tensors[_SCALE])) if _SCALE in tensors else _DEFAULT_TAU
        ),
        adapters=TemporalPromptConfig(num_global_prompts=num_prompts, beta="none"),
    )


def _expect(tensors: Tensors, *, backbone: Backbone, model: ModelConfig) -> dict[str, Tensor]:
    """Say what a file must hold under our names: both towers, prompts in its own shapes, and the patches' bias."""
    state = shapes_of(model, backbone=backbone)
    expected = {name: tensor for name, tensor in state.items() if name.startswith(("video.prompts.", _TEMPORAL))}
    shared = [expected.pop(name) for name in list(expected) if name.endswith(".global_prompts")]
    for name in expected:
        if name.endswith(".interchange_prompts"):
            expected[name] = expected[name][None]
    towers = {name: tensor for name, tensor in backbone.clip.items() if name != _SCALE}
    scale = {_SCALE: torch.empty(())} if _SCALE in tensors else {}
    width = shared[0].shape[-1]
    return expected | towers | scale | {_GLOBAL: torch.stack(shared), _BIAS: torch.empty(width)}


def _read_prompts(tensors: Tensors) -> dict[str, Tensor]:
    prompts = {name: tensor for name, tensor in tensors.items() if name.startswith(("video.prompts.", _TEMPORAL))}
    for layer, shared in enumerate(tensors[_GLOBAL]):
        own = f"video.prompts.{layer}."
        prompts |= {
            f"{own}global_prompts": shared,
            f"{own}interchange_prompts": prompts[f"{own}interchange_prompts"][0],
        }
    return prompts


def _read_labels(given: ImportSource) -> tuple[tuple[Label, ...], tuple[str, ...]]:
    context = given.checkpoint.tensors.get(_CONTEXT)
    if context is None:
        raise ImportProblem(f"{given.source} does not hold the tensors of its family. missing: {_CONTEXT}")
    texts = read_class_texts(given, names=_TEXTS, num_prompts=context.shape[-2])
    kind = "a context for each class" if context.ndim == _NUM_AXES_OF_CLASSES else "one context for all classes"
    remarks = (
        f"the text branch learned {kind}, which is left behind; labels are embedded by the frozen text tower in "
        f"{ModelConfig.template_en!r}",
        "its authors average frames before these are brought to unit length, and take every 16th frame of a video",
    )
    return given.choose_labels(num_classes=texts.num_classes, found=texts.names), remarks


def _preprocessing(given: ImportSource) -> Preprocessing:
    size = given.backbone.config.clip.image_size_pixels
    return Preprocessing(
        input_size=size,
        resize_rule="short_side",
        resize_size=size,
        interpolation="bilinear",
        crop_rule="centre",
        mean=CLIP_MEAN,
        std=CLIP_STD,
    )
