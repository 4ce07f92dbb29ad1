"""What every method answers about itself, whatever it adds to frozen towers."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

from service.contract.manifest import Method
from service.contract.sampling import NumLocalFrames
from training.config.towers import ClipConfig

Fusion = Literal["embedding", "decision", "image"]
Loss = Literal["contrastive", "classification"]
Own = TypeVar("Own", bound="AdapterConfig")


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """The modules that a method adds to CLIP, what of the towers trains along, and what follows for clips and losses.

    The answers here are those of a method that leaves the question open; one that has a field or a rule of its own
    replaces them.

    Attributes:
        method: its name in manifests and reports.
        loss: what a clip is told apart from: the other texts of its batch, or all labels that are learned.
        scores_mean: whether it is trained and scored by cosines of averaged features with English texts alone.
        learns_temperature: whether its temperature is a weight, which takes the place of the config's.
        min_num_frames: the fewest frames of a clip that it can do with.
    """

    method: ClassVar[Method]
    loss: ClassVar[Loss] = "contrastive"
    scores_mean: ClassVar[bool] = False
    learns_temperature: ClassVar[bool] = False
    min_num_frames: ClassVar[int] = 1

    @property
    def tune_image_tower(self) -> bool:
        """Whether the weights of the image tower train."""
        return False

    @property
    def tune_text_tower(self) -> bool:
        """Whether the weights of the English tower train."""
        return False

    @property
    def needs_bridged(self) -> bool:
        """Whether it is meant for towers that were fine-tuned on videos first."""
        return False

    @property
    def num_text_tokens(self) -> int:
        """Positions of an English text that its prompts take."""
        return 0

    @property
    def num_local_frames(self) -> NumLocalFrames:
        """Consecutive frames of the video around each frame of a clip, that frame included."""
        return 1

    @property
    def fusion(self) -> Fusion:
        """How the frames of a clip become one score while it trains."""
        return "embedding"

    @property
    def is_closed(self) -> bool:
        """Whether the video tower gives logits of a closed set of classes, which no text is compared with."""
        return False

    @property
    def num_classes(self) -> int | None:
        """Classes of a closed set; None for an open vocabulary, and before the data has told."""
        return None

    def count_frame_features(self, num_frames: int) -> int:
        """Return K, the features of a clip of ``num_frames`` that leave the video tower."""
        return num_frames

    def with_classes(self: Own, num_classes: int) -> Own:
        """Return the config for a closed set of so many classes; one of an open vocabulary stays as it is."""
        del num_classes
        return self

    def check_fit(self, clip: ClipConfig) -> None:
        """Check that the towers have the layers, positions and patches that it takes.

        Raises:
            ValueError: they do not.
        """


@dataclass(frozen=True, kw_only=True)
class NoAdapters(AdapterConfig):
    """CLIP as it is: one feature a frame, and nothing that trains."""

    kind: Literal["none"] = "none"
    method = "vanilla"
