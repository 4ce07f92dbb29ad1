"""Typed, frozen descriptions of models and runs; a recipe is a function that returns one. No torch here."""

from dataclasses import dataclass
from typing import Literal

from service.contract.manifest import Aggregation, Method, Preprocessing, WordSet

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


CLIP_PREPROCESSING = Preprocessing(
    input_size=224,
    resize_rule="short_side",
    resize_size=256,
    interpolation="bicubic",
    crop_rule="centre",
    mean=CLIP_MEAN,
    std=CLIP_STD,
)


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

    ``beta`` is the encoder of Eq. 12 and ``beta_width`` its inner width; ``projection_init`` starts P_cls of Eq. 8 at
    the identity or at torch's default; ``zero_init_beta`` starts beta at zero, so that step 0 equals temporal prompts
    alone.
    """

    num_global_prompts: int = 8
    beta: Literal["none", "r2plus1d"] = "r2plus1d"
    beta_width: int = 224
    projection_init: Literal["identity", "torch_default"] = "identity"
    zero_init_beta: bool = True


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A video model: its method, towers, adapters, and how its features become scores.

    ``clip`` is an open_clip architecture or a size of our own; ``chinese`` is None for a model without that branch.
    """

    method: Method = "dual_semantic"
    clip: str | ClipConfig = "ViT-B-16-quickgelu"
    chinese: ChineseTextConfig | None = ChineseTextConfig()
    num_frames: int = 8
    temporal_prompts: TemporalPromptConfig | None = TemporalPromptConfig()
    aggregation: Aggregation = "word_weighted"
    word_set: WordSet = "label_eot"
    renormalise: bool = True
    tau: float = 0.01
    template_en: str = "This is a video about {}"
    template_zh: str = "{}"
    preprocessing: Preprocessing = CLIP_PREPROCESSING

    def __post_init__(self) -> None:
        """Check that the method has what it needs."""
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}; a clip has at least one frame")
        if (self.method == "dual_semantic") != (self.temporal_prompts is not None):
            raise ValueError(
                f"method is {self.method!r} and temporal_prompts is {self.temporal_prompts}; "
                "dual_semantic needs them, vanilla has none"
            )
