"""Typed, frozen settings of a training: optimizer, batches, and random changes of clips; models are in ``model``."""

import re
from dataclasses import dataclass
from typing import Literal

_HALF_CIRCLE = 0.5
_RAND_AUGMENT = re.compile(r"rand(-(m(10|\d)|n[1-9]\d?|p(0(\.\d+)?|1(\.0+)?)|mstd\d+(\.\d+)?|inc[01]))*")


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
            "num_epochs",
            "batch_size",
            "checkpoint_every_steps",
            "log_every_steps",
            "max_cached_frames",
            "repeated_augmentation",
        )
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
