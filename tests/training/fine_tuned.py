"""Miniature configs and recipes of fine-tuned and of prompted CLIP."""

from dataclasses import replace

from tests.training.tiny import MODEL, RECIPE
from training.config.model import VLPromptConfig

FINE_TUNED = replace(
    MODEL,
    method="vificlip",
    temporal_prompts=None,
    supervision="english",
    aggregation="mean",
    renormalise=False,
    template_en="a photo of a {}.",
)
VL_PROMPTS = VLPromptConfig(num_vision_tokens=3, num_text_tokens=5, depth=1, allow_unbridged=True)
PROMPTED = replace(FINE_TUNED, method="vl_prompting", vl_prompts=VL_PROMPTS, template_en="{}.")
FINE_TUNING = replace(RECIPE, name="tiny_vificlip", model=FINE_TUNED, fit=replace(RECIPE.fit, label_smoothing=0.1))
