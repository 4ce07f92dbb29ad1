"""Checkpoints of TDS-CLIP (Wang and Wang) and Side4Video (Yao et al. 2023): side networks with a closed set of classes.

Their frozen image tower lies in the file as well and must be the backbone's. The two differ in the padding of the stem,
which no tensor shows; only the former has a second convolution in it.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from torch import Tensor

from service.contract.manifest import Preprocessing
from service.contract.sampling import SamplingRule
from training.config.adapters import RELEASED_SME_ALPHA, SideNetworkConfig
from training.config.model import CLIP_MEAN, CLIP_STD, MEAN_SCORING, ModelConfig
from training.errors import ImportProblem
from training.importers.conversion import (
    PRESETS,
    Converted,
    ImportSource,
    require_same,
    scale_pixels,
    shapes_of,
    with_preprocessing,
)
from training.importers.mapping import Rule, Tensors, check_tensors, looks_like, rename_tensors

Variant = Literal["tds", "side4video"]
_LICENCES: Mapping[str, str] = MappingProxyType(
    {
        "tds": "none stated by the authors; ask them before passing the weights on",
        "side4video": "MIT (Side4Video)",
    }
)
_TOWER, _SIDE, _HEAD = "visual.", "video.side.", "video.head."
_BLOCK = r"visual\.transformer\.side_transformer\.(\d+)\."
_RULES: tuple[Rule, ...] = (
    (r"visual\.transformer\.side_lns\.(.*)", rf"{_SIDE}tap_norms.\1"),
    (r"visual\.transformer\.side_linears\.(.*)", rf"{_SIDE}tap_linears.\1"),
    (rf"{_BLOCK}mse\.(.*)", rf"{_SIDE}blocks.\1.td_adapter.\2"),
    (rf"{_BLOCK}(.*)", rf"{_SIDE}blocks.\1.\2"),
    (r"visual\.transformer\.side_spatial_position_embeddings", f"{_SIDE}position_embedding"),
    (r"visual\.side_conv1\.(.*)", rf"{_SIDE}stem.centre_conv.\1"),
    (r"visual\.side_pre_bn3d\.(.*)", rf"{_SIDE}stem.centre_norm.\1"),
    (r"visual\.side_conv1_c5\.(.*)", rf"{_SIDE}stem.difference_conv.\1"),
    (r"visual\.side_pre_bn3d_c5\.(.*)", rf"{_SIDE}stem.difference_norm.\1"),
    (r"visual\.side_post_bn\.(.*)", rf"{_SIDE}post_norm.\1"),
    (r"fc\.(.*)", rf"{_HEAD}fc.\1"),
)
# Height and width of Something-Something's pictures; the height is the short side of Kinetics'.
_STRETCHED_PIXELS = (256, 320)
_NUM_AXES_2D = 4
# What a side network does without: the end of the tower.
_OPTIONAL = ("visual.ln_post.weight", "visual.ln_post.bias", "visual.proj")


def check_variant(tensors: Iterable[str], *, variant: str, source: str) -> None:
    """Check that a side network is of the variant that is asked for; what is none passes.

    Raises:
        ImportProblem: it is of the other.
    """
    found = looks_like(tensors)
    if found in _LICENCES and found != variant:
        raise ImportProblem(
            f"{source} is of {found}, not of {variant}: a checkpoint of the other stem padding, as "
            f"{'there is a' if found == 'tds' else 'there is no'} side_conv1_c5 in it; import it as {found}"
        )


def convert(given: ImportSource, *, variant: Variant) -> Converted:
    """Convert a side network and its head.

    Raises:
        ImportProblem: a tensor is missing, unexpected or of another shape, the backbone is another one, or labels,
            frames or preset are lacking.
    """
    sampling, preprocessing = _find_preset(given)
    backbone = with_preprocessing(given, preprocessing=preprocessing)
    tensors = {
        name: _as_3d(name, tensor) for name, tensor in rename_tensors(given.checkpoint.tensors, rules=_RULES).items()
    }
    model = _configure(given, tensors=tensors, variant=variant, sampling=sampling, preprocessing=preprocessing)
    state = shapes_of(model, backbone=backbone)
    adapters = {name: tensor for name, tensor in state.items() if name.startswith((_SIDE, _HEAD))}
    tower = {name: tensor for name, tensor in backbone.clip.items() if name.startswith(_TOWER)}
    for name in _OPTIONAL:
        if name not in tensors:
            del tower[name]
    check_tensors(tensors, expected={**tower, **adapters}, source=given.source)
    require_same(tensors, reference=tower, names=tower, source=given.source, part="its image tower")
    return Converted(
        model=model,
        backbone=backbone,
        adapters={name: tensors[name] for name in adapters},
        labels=given.choose_labels(num_classes=len(tensors[f"{_HEAD}fc.bias"]), found=None),
        licence=_LICENCES[variant],
    )


def _configure(
    given: ImportSource, *, tensors: Tensors, variant: Variant, sampling: SamplingRule, preprocessing: Preprocessing
) -> ModelConfig:
    """Read the sizes off the tensors; that a head is missing is found later."""
    head = tensors.get(f"{_HEAD}fc.weight")
    return ModelConfig(
        preprocessing=preprocessing,
        num_frames=given.require_frames(None),
        sampling_rule=sampling,
        supervision="english",
        scoring=MEAN_SCORING,
        adapters=SideNetworkConfig(
            side_width=len(tensors[f"{_SIDE}stem.centre_conv.weight"]),
            variant=variant,
            sme_alpha=RELEASED_SME_ALPHA,
            num_classes=1 if head is None else len(head),
        ),
    )


def _find_preset(given: ImportSource) -> tuple[SamplingRule, Preprocessing]:
    """Return how a data set's frames were sampled and cut: Something-Something's are stretched, Kinetics' are not."""
    size = given.backbone.config.clip.image_size_pixels
    if given.preset is None:
        raise ImportProblem(
            f"{given.source} does not say which data set cut its pictures; give --preset, one of {', '.join(PRESETS)}"
        )
    stretched = given.preset == "ssv"
    height, width = (scale_pixels(pixels, input_size=size) for pixels in _STRETCHED_PIXELS)
    return "rounded_segments" if stretched else "segment_starts", Preprocessing(
        input_size=size,
        resize_rule="exact" if stretched else "short_side",
        resize_size=(height, width) if stretched else height,
        interpolation="bicubic",
        crop_rule="centre",
        mean=CLIP_MEAN,
        std=CLIP_STD,
    )


def _as_3d(name: str, tensor: Tensor) -> Tensor:
    """Give the pictures' convolutions of the TD-Adapter, which see one frame at a time, an axis of time."""
    return tensor[:, :, None] if ".td_adapter.conv" in name and tensor.ndim == _NUM_AXES_2D else tensor
