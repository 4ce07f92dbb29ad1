"""What methods add to frozen towers: one config a method, each with its own answers, in one closed union."""

from typing import Annotated

from pydantic import Field

from training.config.adapters.base import AdapterConfig, Fusion, NoAdapters
from training.config.adapters.deep_prompts import DeepPromptConfig
from training.config.adapters.fine_tuning import FineTuningConfig, Mode
from training.config.adapters.side_network import RELEASED_SME_ALPHA, SideNetworkConfig, TemporalDifferenceVariant
from training.config.adapters.temporal_prompts import (
    Beta,
    BetaLayout,
    GlobalPrompts,
    TemporalEmbeddingConfig,
    TemporalPromptConfig,
)

__all__ = [
    "RELEASED_SME_ALPHA",
    "AdapterConfig",
    "Adapters",
    "Beta",
    "BetaLayout",
    "DeepPromptConfig",
    "FineTuningConfig",
    "Fusion",
    "GlobalPrompts",
    "Mode",
    "NoAdapters",
    "SideNetworkConfig",
    "TemporalDifferenceVariant",
    "TemporalEmbeddingConfig",
    "TemporalPromptConfig",
]

# ``kind`` tells them apart in a run's config.
Adapters = Annotated[
    NoAdapters
    | TemporalEmbeddingConfig
    | TemporalPromptConfig
    | FineTuningConfig
    | DeepPromptConfig
    | SideNetworkConfig,
    Field(discriminator="kind"),
]
