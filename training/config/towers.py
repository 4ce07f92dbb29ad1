"""Typed, frozen sizes of a model's towers and of the adapters in them; how they make a model is in ``model``."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Beta = Literal["none", "mlp", "lstm", "transformer", "tada", "c3d", "r2plus1d"]
BetaLayout = Literal["grid", "line", "plane"]
GlobalPrompts = Literal["broadcast", "per_frame"]
TemporalDifferenceVariant = Literal["none", "pool", "conv", "direct"]
# The weight of local differences in the released code; the paper found 1.0 best (Wang and Wang, TDS-CLIP, Table 3).
RELEASED_SME_ALPHA = 0.5
_HEAD_WIDTH = 64
# What the width of beta is split into: two directions, four heads, a quarter of the channels.
_BETA_DIVISORS: Mapping[str, int] = MappingProxyType({"lstm": 2, "transformer": 4, "tada": 4})


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """State the size of a ViT CLIP; `quick_gelu` belongs to the weights and must match them."""

    embed_dim: int
    quick_gelu: bool
    image_size_pixels: int
    patch_size_pixels: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    vocab_size: int
    context_length: int
    text_width: int
    text_layers: int
    text_heads: int

    def __post_init__(self) -> None:
        """Check the sizes that must divide each other."""
        for whole, part in (
            ("image_size_pixels", "patch_size_pixels"),
            ("vision_width", "vision_heads"),
            ("text_width", "text_heads"),
        ):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(
                    f"{whole} is {getattr(self, whole)} and {part} is {getattr(self, part)}, but {part} must divide "
                    f"{whole}; change one of them"
                )


@dataclass(frozen=True, kw_only=True)
class ChineseTextConfig:
    """State the size of the tower; the defaults are Chinese-CLIP ViT-B/16's RoBERTa-wwm-base."""

    embed_dim: int = 512
    vocab_size: int = 21128
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_width: int = 3072
    num_positions: int = 512

    def __post_init__(self) -> None:
        """Check that the heads divide the width."""
        if self.width % self.num_heads:
            raise ValueError(
                f"width is {self.width} and num_heads is {self.num_heads}, but num_heads must divide width; "
                "change one of them"
            )


@dataclass(frozen=True, kw_only=True)
class TemporalPromptConfig:
    """Temporal prompts and their reparameterization (Deng et al. 2024, Eq. 8-12).

    ``global_prompts`` are one set that all frames share, or one set a frame. ``beta`` is the encoder of Eq. 12 (Table 3
    compares them), ``beta_width`` its inner width and ``beta_units`` the number of its units or layers;
    ``beta_layout`` is how convolutions see the prompt tokens of a frame: folded to a ``grid``, as a ``line``, or as one
    ``plane`` with the frames. ``residual`` keeps P in P + beta(P) (Table 4). ``projection_init`` starts P_cls of Eq. 8
    at the identity or at torch's default; ``zero_init_beta`` starts beta at zero, so that step 0 equals temporal
    prompts alone.
    """

    num_global_prompts: int = 8
    global_prompts: GlobalPrompts = "broadcast"
    beta: Beta = "r2plus1d"
    beta_width: int = 224
    beta_units: int = 2
    beta_layout: BetaLayout = "grid"
    residual: bool = True
    projection_init: Literal["identity", "torch_default"] = "identity"
    zero_init_beta: bool = True

    def __post_init__(self) -> None:
        """Check the counts, and that beta does not start as a dead end."""
        for name in ("num_global_prompts", "beta_width", "beta_units"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        divisor = _BETA_DIVISORS.get(self.beta, 1)
        if self.beta_width % divisor:
            raise ValueError(
                f"beta is {self.beta!r} and beta_width is {self.beta_width}; it must be a multiple of {divisor}"
            )
        if self.beta != "none" and self.zero_init_beta and not self.residual:
            raise ValueError(
                "residual is off and zero_init_beta is on, so every prompt would start at zero; turn it off"
            )


@dataclass(frozen=True, kw_only=True)
class VLPromptConfig:
    """Prompts of both towers of a frozen CLIP (Rasheed et al. 2023, section 5).

    Each of the first ``depth`` layers has so many tokens of its own. The towers are to be fine-tuned on videos first;
    ``allow_unbridged`` takes towers that were not.
    """

    num_vision_tokens: int = 16
    num_text_tokens: int = 16
    depth: int = 9
    allow_unbridged: bool = False

    def __post_init__(self) -> None:
        """Check the counts."""
        for name in ("num_vision_tokens", "num_text_tokens", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def check_fit(self, clip: ClipConfig) -> None:
        """Check that towers have the layers and the positions that the prompts take.

        Raises:
            ValueError: a tower is too shallow, or its context too short for the prompts and a label.
        """
        layers = {"image": clip.vision_layers, "text": clip.text_layers}
        for tower, num_layers in layers.items():
            if self.depth > num_layers:
                raise ValueError(f"depth is {self.depth}, but the {tower} tower has {num_layers} layers; lower it")
        # A start and an end of the text, and a label of at least one token and its full stop.
        if self.num_text_tokens > clip.context_length - 4:
            raise ValueError(
                f"num_text_tokens is {self.num_text_tokens}, but a text has {clip.context_length} positions, of which "
                f"its label needs 4; use at most {clip.context_length - 4}"
            )


@dataclass(frozen=True, kw_only=True)
class SideNetworkConfig:
    """A network of ``side_width`` channels beside a frozen image tower (Wang and Wang, TDS-CLIP).

    Its stem embeds the centre of ``num_local_frames`` frames with weight ``sme_beta`` and their differences with
    ``sme_alpha``; ``stem_padding`` is 1 in the released code and 0 in Side4Video's. Layers ``td_first_layer`` to
    ``td_last_layer``, the tower's last for None, have a TD-Adapter whose window is ``td_kernel`` segments. The variant
    ``side4video`` has neither adapter, sees one frame a segment and pads nothing, whatever the fields about them say.

    A ``linear`` head knows ``num_classes`` classes, with None as many as the data has labels. A ``cosine`` head maps
    into CLIP's joint space, and ``fuse_frozen`` averages its scores with those of the frozen tower alone.
    """

    side_width: int = 320
    variant: Literal["tds", "side4video"] = "tds"
    num_local_frames: Literal[1, 3, 5] = 5
    sme_alpha: float = 1.0
    sme_beta: float = 1.0
    td_adapter: TemporalDifferenceVariant = "pool"
    td_kernel: Literal[3, 5, 7] = 3
    td_first_layer: int = 0
    td_last_layer: int | None = None
    stem_padding: Literal[0, 1] = 1
    head: Literal["linear", "cosine"] = "linear"
    num_classes: int | None = None
    fuse_frozen: bool = False

    def __post_init__(self) -> None:
        """Check the width and the head."""
        if self.side_width < 1 or self.side_width % self.num_heads:
            raise ValueError(
                f"side_width is {self.side_width}; it must be at least 1 and, from {_HEAD_WIDTH} on, divisible by "
                f"{self.num_heads}, its number of heads of about {_HEAD_WIDTH} channels"
            )
        if self.num_classes is not None:
            self.require_num_classes()
        if self.head == "linear" and self.fuse_frozen:
            raise ValueError(
                "head is 'linear' and fuse_frozen is on, but logits of classes cannot be averaged with cosines; choose "
                "the cosine head"
            )

    @property
    def num_heads(self) -> int:
        """Attention heads of a block, of about 64 channels each."""
        return max(1, self.side_width // _HEAD_WIDTH)

    @property
    def frames_per_segment(self) -> Literal[1, 3, 5]:
        """Local frames that the network takes for each frame of a clip, its centre included."""
        return 1 if self.variant == "side4video" else self.num_local_frames

    @property
    def padding(self) -> int:
        """Pixels around a frame in the stem."""
        return 0 if self.variant == "side4video" else self.stem_padding

    def require_num_classes(self) -> int:
        """Return the number of classes.

        Raises:
            ValueError: there is none.
        """
        if self.num_classes is None or self.num_classes < 1:
            raise ValueError(
                f"head is 'linear' and num_classes is {self.num_classes}; a linear head needs at least 1 class, so set "
                "num_classes, or choose the cosine head"
            )
        return self.num_classes

    def check_fit(self, clip: ClipConfig) -> None:
        """Check that an image tower has the layers of the TD-Adapters, and patches that the stem can match.

        Raises:
            ValueError: the layers are out of range, or padding would add patches.
        """
        last = clip.vision_layers - 1 if self.td_last_layer is None else self.td_last_layer
        if not 0 <= self.td_first_layer <= last < clip.vision_layers:
            raise ValueError(
                f"td_first_layer is {self.td_first_layer} and td_last_layer is {self.td_last_layer}, but the image "
                f"tower has layers 0 to {clip.vision_layers - 1}; choose a rising range of them"
            )
        if 2 * self.padding >= clip.patch_size_pixels:
            raise ValueError(
                f"stem_padding is {self.padding} and patches have {clip.patch_size_pixels} pixels, so that the stem "
                "would cut more patches than the tower; set stem_padding to 0"
            )
