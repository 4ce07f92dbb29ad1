"""Miniature configs and recipes of fine-tuned and of prompted CLIP."""

from dataclasses import replace
from typing import Any

from tests.training.tiny import MODEL, RECIPE
from training.config.adapters import DeepPromptConfig, FineTuningConfig
from training.config.model import MEAN_SCORING, ModelConfig

FINE_TUNED = replace(
    MODEL,
    supervision="english",
    template_en="a photo of a {}.",
    scoring=MEAN_SCORING,
    adapters=FineTuningConfig(),
)
DEEP_PROMPTS = DeepPromptConfig(num_vision_tokens=3, num_text_tokens=5, depth=1, allow_unbridged=True)
PROMPTED = replace(FINE_TUNED, template_en="{}.", adapters=DEEP_PROMPTS)
FINE_TUNING = replace(RECIPE, name="tiny_vificlip", model=FINE_TUNED, fit=replace(RECIPE.fit, label_smoothing=0.1))


def fine_tuned(**changes: Any) -> ModelConfig:  # noqa: ANN401
    """Change how the tiny model is fine-tuned."""
    return replace(FINE_TUNED, adapters=FineTuningConfig(**changes))


def prompted(**changes: Any) -> ModelConfig:  # noqa: ANN401
    """Change the prompts of the tiny model's towers."""
    return replace(PROMPTED, adapters=replace(DEEP_PROMPTS, **changes))
