"""Parameters and multiply-accumulates of a model, found from its config alone: no weights are allocated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from rich.table import Table
from torch import nn

from training.config.adapters import RELEASED_SME_ALPHA, NoAdapters, SideNetworkConfig, TemporalEmbeddingConfig
from training.config.model import MEAN_SCORING, ModelConfig
from training.config.towers import ChineseTextConfig
from training.errors import SettingError
from training.models.builders import build_model
from training.models.clip import clip_config
from training.models.compute import count_macs_per_view
from training.models.freezing import parameter_groups
from training.recipes.vificlip import vificlip_k400, vl_prompting_base_to_novel

# The 174 classes of Something-Something V2, on which the method was ablated.
_SIDE = SideNetworkConfig(num_classes=174)
_SIDE_NETWORK = ModelConfig(supervision="english", scoring=MEAN_SCORING, adapters=_SIDE)
METHODS: Mapping[str, Callable[[], ModelConfig]] = MappingProxyType(
    {
        "dual_semantic": ModelConfig,
        "vanilla": lambda: ModelConfig(adapters=NoAdapters()),
        "baseline_frozen": lambda: ModelConfig(supervision="english", adapters=TemporalEmbeddingConfig()),
        "baseline_image_ft": lambda: ModelConfig(
            supervision="english", adapters=TemporalEmbeddingConfig(tune_image_tower=True)
        ),
        "vificlip": lambda: vificlip_k400().model,
        "vl_prompting": lambda: vl_prompting_base_to_novel().model,
        "tds": lambda: _SIDE_NETWORK,
        "tds_released": lambda: replace(_SIDE_NETWORK, adapters=replace(_SIDE, sme_alpha=RELEASED_SME_ALPHA)),
    }
)


@dataclass(frozen=True)
class ModelCard:
    """Counts of a model; ``groups`` holds (trainable, frozen) parameters by group."""

    trainable_parameters: int
    frozen_parameters: int
    gmacs_per_view: float
    groups: dict[str, tuple[int, int]]

    def to_json(self) -> dict[str, object]:
        """Return the card as JSON values."""
        groups = {name: {"trainable": pair[0], "frozen": pair[1]} for name, pair in self.groups.items()}
        return {**vars(self), "groups": groups}


def configure_method(method: str, *, architecture: str, num_frames: int) -> ModelConfig:
    """Return a method's default config on an open_clip architecture, at its input size.

    Raises:
        SettingError: an unknown method or architecture, or a clip without frames.
    """
    if method not in METHODS:
        raise SettingError(f"method is {method!r}; known are {', '.join(METHODS)}")
    config = METHODS[method]()
    try:
        size = clip_config(architecture)
        pixels = size.image_size_pixels
        preprocessing = config.preprocessing.model_copy(update={"input_size": pixels, "resize_size": max(pixels, 256)})
        chinese = ChineseTextConfig(embed_dim=size.embed_dim)
        return replace(config, clip=architecture, chinese=chinese, num_frames=num_frames, preprocessing=preprocessing)
    except ValueError as error:
        raise SettingError(str(error)) from error


def describe_model(config: ModelConfig) -> ModelCard:
    """Count a config's parameters and the multiply-accumulates of one view.

    Raises:
        SettingError: the config does not fit its towers.
    """
    try:
        with torch.device("meta"):
            groups = parameter_groups(build_model(config))
    except ValueError as error:
        raise SettingError(str(error)) from error
    return ModelCard(
        trainable_parameters=sum(trainable for trainable, _ in groups.values()),
        frozen_parameters=sum(frozen for _, frozen in groups.values()),
        gmacs_per_view=round(count_macs_per_view(config) / 1e9, 3),
        groups=groups,
    )


def render_groups(groups: dict[str, tuple[int, int]]) -> Table:
    """Render parameter counts by group, and their sums, as a table for a terminal."""
    table = Table(title="parameters")
    for column in ("group", "trainable", "frozen"):
        table.add_column(column, justify="left" if column == "group" else "right")
    sums = tuple(sum(pair[side] for pair in groups.values()) for side in (0, 1))
    for name, pair in {**groups, "all": sums}.items():
        table.add_row(name, f"{pair[0]:,}", f"{pair[1]:,}", end_section=name == list(groups)[-1])
    return table


def render_parameters(model: nn.Module) -> Table:
    """Render a live model's parameter counts."""
    return render_groups(parameter_groups(model))
