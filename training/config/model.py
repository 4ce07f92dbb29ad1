"""Typed, frozen descriptions of models and runs; a recipe is a function that returns one. No torch here.

The sizes of towers are in ``towers``, what methods add to them in ``adapters``, training and its random changes of
clips in ``fitting``.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from service.contract.manifest import Aggregation, Lambda, Method, Preprocessing, Sampling, Scoring, WordSet
from service.contract.sampling import NumLocalFrames, SamplingRule
from training.config.adapters import Adapters, NoAdapters, TemporalPromptConfig
from training.config.fitting import AugmentConfig, FitConfig
from training.config.towers import ChineseTextConfig, ClipConfig

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
class ScoringConfig:
    """How a model's features become scores: pooling over frames, the words that weigh them, and the temperature."""

    aggregation: Aggregation = "word_weighted"
    word_set: WordSet = "label_eot"
    renormalise: bool = True
    tau: float = 0.01

    def fused_by(self, fusion: Lambda) -> Scoring:
        """Return the scoring of a bundle with this weight of English."""
        return Scoring(
            aggregation=self.aggregation,
            word_set=self.word_set,
            renormalise=self.renormalise,
            tau=self.tau,
            fusion=fusion,
        )


# Cosines with the plain mean of a clip's features, as CLIP's descendants are scored.
MEAN_SCORING = ScoringConfig(aggregation="mean", renormalise=False)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A video model: its towers, the frames that make a clip, its texts, its scoring, and what its method adds.

    ``clip`` is an open_clip architecture or a size of our own; ``chinese`` is None for a model without that branch.
    ``supervision`` by English alone leaves the Chinese branch out, whatever the backbone has.
    """

    clip: str | ClipConfig = "ViT-B-16-quickgelu"
    chinese: ChineseTextConfig | None = field(default_factory=ChineseTextConfig)
    preprocessing: Preprocessing = CLIP_PREPROCESSING
    num_frames: int = 8
    sampling_rule: SamplingRule = "segment_centres"
    supervision: Literal["dual", "english"] = "dual"
    template_en: str = "This is a video about {}"
    template_zh: str = "{}"
    scoring: ScoringConfig = field(default_factory=ScoringConfig)
    adapters: Adapters = field(default_factory=TemporalPromptConfig)

    def __post_init__(self) -> None:
        """Check that the method has the frames, the texts and the scoring that it needs, and fits its towers."""
        if self.num_frames < self.adapters.min_num_frames:
            raise ValueError(
                f"num_frames is {self.num_frames}; a clip of method {self.method!r} has at least "
                f"{self.adapters.min_num_frames} of them"
            )
        needed = (
            ("supervision", self.supervision, "english"),
            ("aggregation", self.scoring.aggregation, "mean"),
            ("renormalise", self.scoring.renormalise, False),
        )
        for name, found, value in needed if self.adapters.scores_mean else ():
            if found != value:
                raise ValueError(f"method is {self.method!r} and {name} is {found!r}; it must be {value!r}")
        if isinstance(self.clip, ClipConfig):
            self.adapters.check_fit(self.clip)

    @property
    def method(self) -> Method:
        """The method's name in manifests and reports."""
        return self.adapters.method

    @property
    def is_closed(self) -> bool:
        """Whether the video tower gives logits of a closed set of classes, which no text is compared with."""
        return self.adapters.is_closed

    @property
    def num_frame_features(self) -> int:
        """K: features of a clip that leave the video tower, one where it pools inside."""
        return self.adapters.count_frame_features(self.num_frames)

    @property
    def num_local_frames(self) -> NumLocalFrames:
        """Consecutive frames of the video around each frame of a clip, that frame included."""
        return self.adapters.num_local_frames

    @property
    def clip_shape(self) -> tuple[int, ...]:
        """Axes of a clip before those of a picture: frames and, where there are several around each, local frames."""
        return (self.num_frames,) if self.num_local_frames == 1 else (self.num_frames, self.num_local_frames)

    @property
    def sampling(self) -> Sampling:
        """Which frames of a video make a clip for this model."""
        return Sampling(rule=self.sampling_rule, num_frames=self.num_frames, num_local_frames=self.num_local_frames)

    def without_adapters(self) -> "ModelConfig":
        """Return the config of the frozen towers alone: one feature a frame, averaged."""
        return replace(self, scoring=replace(self.scoring, aggregation="mean"), adapters=NoAdapters())


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
class Recipe:
    """Everything a run depends on but its data and its backbone's weights.

    With ``num_shots`` that many videos of each label are drawn from the training split by the seed.
    """

    name: str
    model: ModelConfig
    fit: FitConfig = field(default_factory=FitConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train_split: str = "train"
    num_shots: int | None = None

    def __post_init__(self) -> None:
        """Check the number of shots, and that the loss of the method can take clips apart and mixed."""
        if self.num_shots is not None and self.num_shots < 1:
            raise ValueError(f"num_shots is {self.num_shots}; it must be at least 1, or null for all videos")
        if self.fit.mixes_clips and self.model.adapters.loss == "contrastive":
            raise ValueError(
                f"mixup_alpha is {self.fit.mixup_alpha} and cutmix_alpha is {self.fit.cutmix_alpha}, but the "
                f"contrastive loss of {self.model.method} takes whole clips; set both to 0"
            )
        if self.fit.clips_per_pass is not None and self.model.adapters.loss == "contrastive":
            raise ValueError(
                f"clips_per_pass is {self.fit.clips_per_pass}, but the contrastive loss of {self.model.method} takes "
                "all clips of a step at once; set it to null"
            )
