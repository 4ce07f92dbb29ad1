"""Typed, frozen descriptions of models and runs; a recipe is a function that returns one. No torch here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from service.contract.manifest import Aggregation, Lambda, Method, Preprocessing, Sampling, Scoring, WordSet

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

Beta = Literal["none", "mlp", "lstm", "transformer", "tada", "c3d", "r2plus1d"]
BetaLayout = Literal["grid", "line", "plane"]
GlobalPrompts = Literal["broadcast", "per_frame"]
# What the width of beta is split into: two directions, four heads, a quarter of the channels.
_BETA_DIVISORS: Mapping[str, int] = MappingProxyType({"lstm": 2, "transformer": 4, "tada": 4})
_RAND_AUGMENT = re.compile(r"rand(-(m(10|\d)|n[1-9]\d?|p(0(\.\d+)?|1(\.0+)?)|mstd\d+(\.\d+)?|inc[01]))*")

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
class ModelConfig:
    """A video model: its method, towers, adapters, and how its features become scores.

    ``clip`` is an open_clip architecture or a size of our own; ``chinese`` is None for a model without that branch.
    ``supervision`` by English alone leaves the Chinese branch out, whatever the backbone has. A ``dual_semantic`` model
    without ``temporal_prompts`` is the paper's baseline: CLIP with a temporal embedding. ``tune_image_tower`` trains
    the image tower along with the adapters.
    """

    method: Method = "dual_semantic"
    clip: str | ClipConfig = "ViT-B-16-quickgelu"
    chinese: ChineseTextConfig | None = ChineseTextConfig()
    num_frames: int = 8
    temporal_prompts: TemporalPromptConfig | None = TemporalPromptConfig()
    supervision: Literal["dual", "english"] = "dual"
    tune_image_tower: bool = False
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
        if self.method != "dual_semantic" and (self.temporal_prompts is not None or self.tune_image_tower):
            raise ValueError(
                f"method is {self.method!r}, temporal_prompts is {self.temporal_prompts} and tune_image_tower is "
                f"{self.tune_image_tower}; only dual_semantic has these"
            )

    @property
    def sampling(self) -> Sampling:
        """Which frames of a video make a clip for this model."""
        return Sampling(rule="segment_centres", num_frames=self.num_frames)

    def scoring(self, fusion: Lambda) -> Scoring:
        """How this model's features become scores with a weight of English."""
        return Scoring(
            aggregation=self.aggregation,
            word_set=self.word_set,
            renormalise=self.renormalise,
            tau=self.tau,
            fusion=fusion,
        )


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """The towers a run starts from, and the pictures they were trained on.

    ``max_length_zh`` counts the positions of a Chinese text, start and end included; the English one is the
    ``context_length`` of ``clip``.
    """

    clip: ClipConfig
    chinese: ChineseTextConfig | None
    preprocessing: Preprocessing
    max_length_zh: int = 52


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of a training clip, the same for all of its frames.

    A crop covers a share of the picture's area drawn from ``crop_area``, with a width / height drawn from
    ``crop_aspect``. A mirrored clip takes the mirrored label, and is left alone where that label does not exist.
    ``rand_augment`` is a policy in timm's words, such as "rand-m7-n4-mstd0.5-inc1" (Cubuk et al. 2020); erasing covers
    one box of all frames with the same noise.
    """

    crop_area: tuple[float, float] = (0.08, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: float = 0.5
    grayscale_probability: float = 0.2
    rand_augment: str | None = None
    erasing_probability: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges and probabilities."""
        for name in ("crop_area", "crop_aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} is {(low, high)}; it must be a rising range above 0")
        if self.crop_area[1] > 1:
            raise ValueError(f"crop_area is {self.crop_area}; a crop covers at most 1, the whole picture")
        for name in ("flip_probability", "grayscale_probability", "erasing_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a probability lies between 0 and 1")
        if self.rand_augment is not None and not _RAND_AUGMENT.fullmatch(self.rand_augment):
            raise ValueError(
                f"rand_augment is {self.rand_augment!r}; write rand and then, where they differ from timm's defaults, "
                "-m0 to -m10 (magnitude), -n1 or more (operations), -p0 to -p1 (probability), -mstd0.5 (its deviation) "
                "and -inc1 (stronger with magnitude)"
            )


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How adapters are fitted: AdamW, a linear warm-up and a cosine to zero.

    ``batch_size`` counts the clips of one step over all processes together. With ``reversed_twins`` half of them are
    the other half played backwards, under the label of the reversed action: the hardest negatives there are. Decoded
    training frames are kept in memory-mapped files of at most ``frame_cache_bytes``; 0 decodes every clip anew.
    ``max_cached_frames`` of a video are kept, evenly spread where it has more.
    """

    num_epochs: int = 30
    num_warmup_epochs: float = 5.0
    batch_size: int = 32
    reversed_twins: bool = False
    learning_rate: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-2
    max_gradient_norm: float = 1.0
    label_smoothing: float = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpoint_every_steps: int = 500
    log_every_steps: int = 10
    frame_cache_bytes: int = 8 * 1024**3
    max_cached_frames: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the counts and rates."""
        for name in ("num_epochs", "batch_size", "checkpoint_every_steps", "log_every_steps", "max_cached_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; it must be at least 0 and below 1")
        if not self.learning_rate > 0 or not self.max_gradient_norm > 0:
            raise ValueError(
                f"learning_rate is {self.learning_rate} and max_gradient_norm is {self.max_gradient_norm}; "
                "both must be above 0"
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything a run depends on but its data and its backbone's weights.

    With ``num_shots`` that many videos of each label are drawn from the training split by the seed.
    """

    name: str
    model: ModelConfig
    fit: FitConfig = FitConfig()
    augment: AugmentConfig = AugmentConfig()
    train_split: str = "train"
    num_shots: int | None = None

    def __post_init__(self) -> None:
        """Check the number of shots."""
        if self.num_shots is not None and self.num_shots < 1:
            raise ValueError(f"num_shots is {self.num_shots}; it must be at least 1, or null for all videos")
