"""A miniature of the side network: its config on the tiny towers, and clips of segments for it."""

from dataclasses import replace
from typing import Any

import torch

from tests.training.tiny import MODEL, RECIPE
from training.config.adapters import SideNetworkConfig
from training.config.model import MEAN_SCORING, ModelConfig

SIDE = SideNetworkConfig(side_width=8, head="cosine")
SIDE_MODEL = replace(MODEL, supervision="english", scoring=MEAN_SCORING, adapters=SIDE)

# The number of classes is left to the data.
CLOSED_MODEL = replace(SIDE_MODEL, adapters=replace(SIDE, head="linear"))
SIDE_FIT = replace(RECIPE.fit, decay_all=True, weight_decay=0.15, label_smoothing=0.1)
CLOSED_FITTING = replace(RECIPE, name="tiny_tds", model=CLOSED_MODEL, fit=SIDE_FIT)
OPEN_FITTING = replace(CLOSED_FITTING, name="tiny_tds_open", model=SIDE_MODEL)


def side_config(**changes: Any) -> ModelConfig:  # noqa: ANN401
    """Change the side network of the tiny model's config."""
    return replace(SIDE_MODEL, adapters=replace(SIDE, **changes))


def random_segments(num_clips: int, *, config: ModelConfig = SIDE_MODEL) -> torch.Tensor:
    """Draw the same noise every time, with an axis of local frames."""
    size = config.preprocessing.input_size
    shape = (num_clips, config.num_frames, config.num_local_frames, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
