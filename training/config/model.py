"""Typed, frozen descriptions of models and runs; a recipe is a function that returns one. No torch here.

The sizes of towers and adapters are in ``towers``, training and its random changes of clips in ``fitting``.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from service.contract.manifest import Aggregation, Lambda, Method, Preprocessing, Sampling, Scoring, WordSet
from service.contract.sampling import NumLocalFrames, SamplingRule
from training.config.fitting import AugmentConfig, FitConfig
from training.config.towers import (
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
    def loss(self) -> Literal["contrastive", "classification"]:
        """What a clip is told apart from: the other texts of its batch, or all labels that are learned."""
        return "classification" if self.is_fine_tuned or self.method == "tds" else "contrastive"

    @property
    def is_closed(self) -> bool:
        """Whether the video tower gives logits of a closed set of classes, which no text is compared with."""
        return self.side is not None and self.side.head == "linear"

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
            self,
            method="vanilla",
            temporal_prompts=None,
            tune_image_tower=False,
            aggregation="mean",
            fusion="embedding",
            mode="full",
            vl_prompts=None,
            side=None,
        )

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
        if self.fit.mixes_clips and self.model.loss == "contrastive":
            raise ValueError(
                f"mixup_alpha is {self.fit.mixup_alpha} and cutmix_alpha is {self.fit.cutmix_alpha}, but the "
                f"contrastive loss of {self.model.method} takes whole clips; set both to 0"
            )
        if self.fit.clips_per_pass is not None and self.model.loss == "contrastive":
            raise ValueError(
                f"clips_per_pass is {self.fit.clips_per_pass}, but the contrastive loss of {self.model.method} takes "
                "all clips of a step at once; set it to null"
            )
