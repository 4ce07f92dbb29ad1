"""The manifest of a model: everything ``bundle.json`` says but the files, taken from the model and its config."""

import hashlib
from importlib.metadata import version

from torch import nn

from service.contract.manifest import (
    FORMAT_VERSION,
    ClassLabel,
    Lambda,
    Manifest,
    Provenance,
    TextTower,
)
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from training.config.towers import ClipConfig
from training.models.video_clip import Tokenizers, VideoCLIP

_PACKAGES = ("torch", "onnx", "onnxscript")


def describe_model(
    model: VideoCLIP,
    tokenizers: Tokenizers,
    *,
    name: str,
    label_sets: tuple[str, ...],
    fusion: Lambda,
    provenance: Provenance,
    chinese_trained: bool,
) -> Manifest:
    """Build the manifest of a model, without files.

    Raises:
        ValueError: the parts contradict each other, as a lambda below 1 without a trained Chinese branch; or the model
            gives logits of classes and does not have a name for each.
    """
    config = model.config
    versions = {package: version(package) for package in _PACKAGES}
    return Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        method=config.method,
        backbone=_backbone(config.clip),
        vocabulary="closed" if config.is_closed else "open",
        joint_dimension=model.english.text_projection.shape[1],
        num_frame_features=config.num_frame_features,
        preprocessing=config.preprocessing,
        sampling=config.sampling,
        english=_text_tower(model.english, tokenizers.english, template=config.template_en, trained=True),
        chinese=None
        if model.chinese is None or tokenizers.chinese is None
        else _text_tower(model.chinese, tokenizers.chinese, template=config.template_zh, trained=chinese_trained),
        scoring=config.scoring.fused_by(fusion),
        label_sets=label_sets,
        classes=_classes(model),
        files={},
        provenance=provenance.model_copy(update={"package_versions": provenance.package_versions | versions}),
    )


def tower_digest(module: nn.Module, *, tokenizer: str) -> str:
    """SHA-256 over a text tower: every tensor's name, dtype, shape and bytes in the order of names, and the tokenizer.

    Two bundles with the same tower have the same digest, and so share label banks.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().data)
    digest.update(tokenizer.encode())
    return digest.hexdigest()


def _classes(model: VideoCLIP) -> tuple[ClassLabel, ...]:
    """Name the logits of a closed vocabulary in their order; an open one has no classes."""
    if not model.config.is_closed:
        return ()
    num_classes = model.config.adapters.num_classes
    if len(model.classes) != num_classes:
        raise ValueError(
            f"the model gives logits of {num_classes} classes and has names of {len(model.classes)}; export a "
            "run, whose folder keeps them, or set the model's classes"
        )
    return tuple(ClassLabel(en=each.en, zh=each.zh) for each in model.classes)


def _text_tower(
    module: nn.Module, tokenizer: EnglishTokenizer | ChineseTokenizer, *, template: str, trained: bool
) -> TextTower:
    return TextTower(
        digest=tower_digest(module, tokenizer=tokenizer.to_json()),
        template=template,
        max_length=tokenizer.max_length,
        trained=trained,
    )


def _backbone(clip: str | ClipConfig) -> str:
    if isinstance(clip, str):
        return clip
    size, patch = clip.image_size_pixels, clip.patch_size_pixels
    return f"ViT, {clip.vision_layers} layers of width {clip.vision_width}, patches of {patch} in {size} pixels"
