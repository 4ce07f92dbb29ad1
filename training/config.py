"""Typed, frozen descriptions of models and runs; a recipe is a function that returns one. No torch here."""

import re
from dataclasses import dataclass, field, replace
from typing import Literal

from service.contract.manifest import Aggregation, Lambda, Method, Preprocessing, Sampling, Scoring, WordSet
from service.contract.sampling import NumLocalFrames, SamplingRule
from training.tower_config import (
    Beta,
    BetaLayout,
    ChineseTextConfig,
    ClipConfig,
    GlobalPrompts,
    SideNetworkConfig,
    TemporalPromptConfig,
    VLPromptConfig,
)

__all__ = [
    "CLIP_MEAN",
    "CLIP_PREPROCESSING",
    "CLIP_STD",
    "AugmentConfig",
    "BackboneConfig",
    "Beta",
    "BetaLayout",
    "ChineseTextConfig",
    "ClipConfig",
    "FitConfig",
    "Fusion",
    "GlobalPrompts",
    "Mode",
    "ModelConfig",
    "Recipe",
    "SideNetworkConfig",
    "TemporalPromptConfig",
    "VLPromptConfig",
]

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

Fusion = Literal["embedding", "decision", "image"]
Mode = Literal["full", "image", "text"]
# Fine-tuned CLIP and its prompting (Rasheed et al. 2023): cosines of pooled features with all labels, in English alone.
_FINE_TUNED: tuple[Method, ...] = ("vificlip", "vl_prompting")
_HALF_CIRCLE = 0.5
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
class ModelConfig:
    """A video model: its method, towers, adapters, and how its features become scores.

    ``clip`` is an open_clip architecture or a size of our own; ``chinese`` is None for a model without that branch.
    ``supervision`` by English alone leaves the Chinese branch out, whatever the backbone has. A ``dual_semantic`` model
    without ``temporal_prompts`` is the paper's baseline: CLIP with a temporal embedding. ``tune_image_tower`` trains
    the image tower along with the adapters.

    ``vificlip`` and ``vl_prompting`` (Rasheed et al. 2023) join the frames of a clip by ``fusion`` (Table 5): the mean
    of embeddings inside the video tower, the mean of each frame's scores, or training on every frame by itself.
    ``mode`` says which towers ``vificlip`` fine-tunes, and ``vl_prompts`` is what ``vl_prompting`` trains instead.

    ``tds`` (Wang and Wang, TDS-CLIP) trains the network ``side`` beside the image tower, and with ``tune_image_tower``
    that tower as well.
    """

    method: Method = "dual_semantic"
    clip: str | ClipConfig = "ViT-B-16-quickgelu"
    chinese: ChineseTextConfig | None = field(default_factory=ChineseTextConfig)
    num_frames: int = 8
    temporal_prompts: TemporalPromptConfig | None = field(default_factory=TemporalPromptConfig)
    supervision: Literal["dual", "english"] = "dual"
    tune_image_tower: bool = False
    fusion: Fusion = "embedding"
    mode: Mode = "full"
    vl_prompts: VLPromptConfig | None = None
    side: SideNetworkConfig | None = None
    aggregation: Aggregation = "word_weighted"
    word_set: WordSet = "label_eot"
    renormalise: bool = True
    tau: float = 0.01
    template_en: str = "This is a video about {}"
    template_zh: str = "{}"
    sampling_rule: SamplingRule = "segment_centres"
    preprocessing: Preprocessing = CLIP_PREPROCESSING

    def __post_init__(self) -> None:
        """Check that the method has what it needs."""
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}; a clip has at least one frame")
        tunes_without_adapters = self.tune_image_tower and self.method not in {"dual_semantic", "tds"}
        if tunes_without_adapters or (self.method != "dual_semantic" and self.temporal_prompts is not None):
            raise ValueError(
                f"method is {self.method!r}, temporal_prompts is {self.temporal_prompts} and tune_image_tower is "
                f"{self.tune_image_tower}; only dual_semantic has these, and tds the last"
            )
        self._check_fine_tuned()
        self._check_side()
        for adapters in (self.vl_prompts, self.side):
            if adapters is not None and isinstance(self.clip, ClipConfig):
                adapters.check_fit(self.clip)

    def _check_fine_tuned(self) -> None:
        """Check what only fine-tuned CLIP and its prompting have, and what they need.

        Their learned temperature takes the place of ``tau`` once a model has weights.
        """
        if (self.method == "vl_prompting") != (self.vl_prompts is not None):
            raise ValueError(
                f"method is {self.method!r} and vl_prompts is {self.vl_prompts}; vl_prompting has prompts, and no "
                "other method does"
            )
        if self.mode != "full" and self.method != "vificlip":
            raise ValueError(f"method is {self.method!r} and mode is {self.mode!r}; only vificlip has modes")
        if self.fusion != "embedding" and not self.is_fine_tuned:
            raise ValueError(
                f"method is {self.method!r} and fusion is {self.fusion!r}; only {' and '.join(_FINE_TUNED)} choose it"
            )
        needed = {"supervision": "english", "aggregation": "mean", "renormalise": False}
        for name, value in needed.items():
            if (self.is_fine_tuned or self.method == "tds") and getattr(self, name) != value:
                raise ValueError(
                    f"method is {self.method!r} and {name} is {getattr(self, name)!r}; it must be {value!r}"
                )

    def _check_side(self) -> None:
        """Check that a side network comes with its method, and has neighbours in time to differ from."""
        if (self.method == "tds") != (self.side is not None):
            raise ValueError(
                f"method is {self.method!r} and side is {self.side}; tds has a side network, and no other method does"
            )
        if self.side is not None and self.num_frames == 1:
            raise ValueError(
                "method is 'tds' and num_frames is 1, but a side network compares segments of a clip; use at least 2"
            )

    @property
    def is_fine_tuned(self) -> bool:
        """Whether the method is CLIP fine-tuned or prompted by the cosines of clips with all labels."""
        return self.method in _FINE_TUNED

    @property
    def num_frame_features(self) -> int:
        """K: features of a clip that leave the video tower, one where it pools inside."""
        if self.side is not None:
            return 2 if self.side.fuse_frozen else 1
        return 1 if self.is_fine_tuned and self.fusion == "embedding" else self.num_frames

    @property
    def num_local_frames(self) -> NumLocalFrames:
        """Consecutive frames of the video around each frame of a clip, that frame included."""
        return 1 if self.side is None else self.side.frames_per_segment

    def without_adapters(self) -> "ModelConfig":
        """Return the config of the frozen towers alone: one feature a frame, averaged."""
        return replace(
            self, method="vanilla", temporal_prompts=None, tune_image_tower=False, aggregation="mean",
            fusion="embedding", mode="full", vl_prompts=None, side=None,
        )  # fmt: skip

    @property
    def sampling(self) -> Sampling:
        """Which frames of a video make a clip for this model."""
        return Sampling(rule=self.sampling_rule, num_frames=self.num_frames, num_local_frames=self.num_local_frames)

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
    ``context_length`` of ``clip``. ``bridged`` towers were fine-tuned on videos, and can be prompted.
    """

    clip: ClipConfig
    chinese: ChineseTextConfig | None
    preprocessing: Preprocessing
    max_length_zh: int = 52
    bridged: bool = False


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Random changes of a training clip, the same for all of its frames.

    A crop covers a share of the picture's area drawn from ``crop_area``, with a width / height drawn from
    ``crop_aspect``. A mirrored clip takes the mirrored label, and is left alone where that label does not exist.
    ``rand_augment`` is a policy in timm's words, such as "rand-m7-n4-mstd0.5-inc1" (Cubuk et al. 2020); erasing covers
    one box of all frames with the same noise. With ``crop_scales`` a crop's sides are shares of the short side, taken
    from this list, and lie in a corner or the centre (Wang et al. 2016, TSN); area and aspect are then not used.
    ``jitter_strengths`` bound the changes of brightness, contrast, saturation and hue; a hue of 0.5 is half the circle.
    """

    crop_area: tuple[float, float] = (0.08, 1.0)
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: float = 0.5
    grayscale_probability: float = 0.2
    rand_augment: str | None = None
    erasing_probability: float = 0.0
    crop_scales: tuple[float, ...] = ()
    jitter_probability: float = 0.0
    jitter_strengths: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)

    def __post_init__(self) -> None:
        """Check ranges and probabilities."""
        for name in ("crop_area", "crop_aspect"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} is {(low, high)}; it must be a rising range above 0")
        if self.crop_area[1] > 1:
            raise ValueError(f"crop_area is {self.crop_area}; a crop covers at most 1, the whole picture")
        if not all(0 < scale <= 1 for scale in self.crop_scales):
            raise ValueError(
                f"crop_scales is {self.crop_scales}; each is a share of the short side, above 0 and up to 1"
            )
        *factors, hue = self.jitter_strengths
        if not (all(0 <= strength <= 1 for strength in factors) and 0 <= hue <= _HALF_CIRCLE):
            raise ValueError(
                f"jitter_strengths is {self.jitter_strengths}; brightness, contrast and saturation lie between 0 and "
                f"1, hue between 0 and {_HALF_CIRCLE}"
            )
        for name in ("flip_probability", "grayscale_probability", "erasing_probability", "jitter_probability"):
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
    """How a model is fitted: AdamW, a linear warm-up and a cosine to ``final_learning_rate_share`` of the peak.

    ``batch_size`` counts the clips of one step over all processes together. With ``reversed_twins`` half of them are
    the other half played backwards, under the label of the reversed action: the hardest negatives there are. Decoded
    training frames are kept in memory-mapped files of at most ``frame_cache_bytes``; 0 decodes every clip anew.
    ``max_cached_frames`` of a video are kept, evenly spread where it has more. ``clips_per_pass`` bounds the memory of
    a step: a process takes its clips in passes of so many and adds up their gradients.

    With ``repeated_augmentation`` R a batch holds R clips of each of its videos, drawn and augmented apart (Hoffer et
    al. 2020). ``decay_all`` lets weight decay act on norms, biases and prompts too; without ``max_gradient_norm`` no
    gradient is clipped. Where an alpha is above 0, every batch is mixed: by mixup (Zhang et al. 2018) or CutMix (Yun et
    al. 2019), or, with both, by CutMix with ``mix_switch_probability``.
    """

    num_epochs: int = 30
    num_warmup_epochs: float = 5.0
    batch_size: int = 32
    clips_per_pass: int | None = None
    reversed_twins: bool = False
    repeated_augmentation: int = 1
    learning_rate: float = 5e-4
    final_learning_rate_share: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    adam_eps: float = 1e-8
    weight_decay: float = 1e-2
    decay_all: bool = False
    max_gradient_norm: float | None = 1.0
    label_smoothing: float = 0.0
    mixup_alpha: float = 0.0
    cutmix_alpha: float = 0.0
    mix_switch_probability: float = 0.5
    precision: Literal["fp32", "bf16"] = "fp32"
    checkpoint_every_steps: int = 500
    log_every_steps: int = 10
    frame_cache_bytes: int = 8 * 1024**3
    max_cached_frames: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the counts and rates."""
        counts = (
            "num_epochs", "batch_size", "checkpoint_every_steps", "log_every_steps", "max_cached_frames",
            "repeated_augmentation",
        )  # fmt: skip
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.clips_per_pass is not None and self.clips_per_pass < 1:
            raise ValueError(f"clips_per_pass is {self.clips_per_pass}; it must be at least 1, or null for all at once")
        self._check_rates()

    def _check_rates(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; it must be at least 0 and below 1")
        for name in ("final_learning_rate_share", "mix_switch_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it lies between 0 and 1")
        for name in ("mixup_alpha", "cutmix_alpha"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0, or 0 to leave clips alone")
        if not self.adam_eps > 0:
            raise ValueError(f"adam_eps is {self.adam_eps}; it must be above 0")
        if not self.learning_rate > 0 or not (self.max_gradient_norm is None or self.max_gradient_norm > 0):
            raise ValueError(
                f"learning_rate is {self.learning_rate} and max_gradient_norm is {self.max_gradient_norm}; "
                "both must be above 0"
            )

    @property
    def mixes_clips(self) -> bool:
        """Whether clips of a batch are mixed with each other."""
        return self.mixup_alpha > 0 or self.cutmix_alpha > 0


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
        """Check the number of shots, and that the loss of the method can take clips apart and mixed."""
        if self.num_shots is not None and self.num_shots < 1:
            raise ValueError(f"num_shots is {self.num_shots}; it must be at least 1, or null for all videos")
        if self.fit.mixes_clips and not self.model.is_fine_tuned:
            raise ValueError(
                f"mixup_alpha is {self.fit.mixup_alpha} and cutmix_alpha is {self.fit.cutmix_alpha}, but the "
                f"contrastive loss of {self.model.method} takes whole clips; set both to 0"
            )
        if self.fit.clips_per_pass is not None and not self.model.is_fine_tuned:
            raise ValueError(
                f"clips_per_pass is {self.fit.clips_per_pass}, but the contrastive loss of {self.model.method} takes "
                "all clips of a step at once; set it to null"
            )
