"""Prompts in the layers of both towers (ViFi-CLIP's vision-language prompting, Rasheed et al. 2023, section 5)."""

from dataclasses import dataclass
from typing import Literal

from training.config.adapters.fine_tuning import CosineConfig
from training.config.towers import ClipConfig

# A start and an end of the text, and a label of at least one token and its full stop.
_MIN_LABEL_POSITIONS = 4


@dataclass(frozen=True, kw_only=True)
class DeepPromptConfig(CosineConfig):
    """Prompts of both towers of a frozen CLIP.

    Each of the first ``depth`` layers has so many tokens of its own. The towers are to be fine-tuned on videos first;
    ``allow_unbridged`` takes towers that were not.
    """

    kind: Literal["deep_prompts"] = "deep_prompts"
    num_vision_tokens: int = 16
    num_text_tokens: int = 16
    depth: int = 9
    allow_unbridged: bool = False
    method = "vl_prompting"

    def __post_init__(self) -> None:
        """Check the counts."""
        for name in ("num_vision_tokens", "num_text_tokens", "depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    @property
    def needs_bridged(self) -> bool:
        """Whether it is meant for towers that were fine-tuned on videos first."""
        return not self.allow_unbridged

    def check_fit(self, clip: ClipConfig) -> None:
        """Check that towers have the layers and the positions that the prompts take.

        Raises:
            ValueError: a tower is too shallow, or its context too short for the prompts and a label.
        """
        layers = {"image": clip.vision_layers, "text": clip.text_layers}
        for tower, num_layers in layers.items():
            if self.depth > num_layers:
                raise ValueError(f"depth is {self.depth}, but the {tower} tower has {num_layers} layers; lower it")
        most = clip.context_length - _MIN_LABEL_POSITIONS
        if self.num_text_tokens > most:
            raise ValueError(
                f"num_text_tokens is {self.num_text_tokens}, but a text has {clip.context_length} positions, of which "
                f"its label needs {_MIN_LABEL_POSITIONS}; use at most {most}"
            )
