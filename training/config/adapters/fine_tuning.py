"""Fine-tuned CLIP (ViFi-CLIP, Rasheed et al. 2023): no module is added, the towers themselves train."""

from dataclasses import dataclass
from typing import Literal

from training.config.adapters.base import AdapterConfig, Fusion

Mode = Literal["full", "image", "text"]


@dataclass(frozen=True, kw_only=True)
class CosineConfig(AdapterConfig):
    """What fine-tuned CLIP and its prompting share: clips are classified by their cosines with all labels.

    ``fusion`` joins the frames of a clip (Table 5): the mean of embeddings inside the video tower, the mean of each
    frame's scores, or training on every frame by itself.
    """

    fusion: Fusion = "embedding"
    loss = "classification"
    scores_mean = True
    learns_temperature = True

    @property
    def pools_frames(self) -> bool:
        """Whether the video tower averages the embeddings of a clip's frames."""
        return self.fusion == "embedding"

    def count_frame_features(self, num_frames: int) -> int:
        """Return K: one where the tower pools."""
        return 1 if self.pools_frames else num_frames


@dataclass(frozen=True, kw_only=True)
class FineTuningConfig(CosineConfig):
    """Fine-tune both towers, or the ``image`` or ``text`` tower alone."""

    kind: Literal["fine_tuning"] = "fine_tuning"
    mode: Mode = "full"
    method = "vificlip"

    @property
    def tune_image_tower(self) -> bool:
        """Whether the weights of the image tower train."""
        return self.mode != "text"

    @property
    def tune_text_tower(self) -> bool:
        """Whether the weights of the English tower train."""
        return self.mode != "image"
