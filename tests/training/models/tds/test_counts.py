"""Parameters and multiply-accumulates of the published side networks, counted without weights."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from training.config.adapters import SideNetworkConfig
from training.config.model import ModelConfig
from training.models.builders import build_model
from training.models.card import configure_method, describe_model

BASE, LARGE = "ViT-B-16-quickgelu", "ViT-L-14-quickgelu"
FOUR = {"variant": "side4video"}


def configure(architecture: str = BASE, *, num_frames: int = 8, **changes: Any) -> ModelConfig:  # noqa: ANN401
    config = configure_method("tds", architecture=architecture, num_frames=num_frames)
    assert isinstance(config.adapters, SideNetworkConfig)
    return replace(config, adapters=replace(config.adapters, **changes))


def trainable(config: ModelConfig) -> dict[str, int]:
    with torch.device("meta"):
        model = build_model(config)
    return {name: each.numel() for name, each in model.named_parameters() if each.requires_grad}


@pytest.mark.parametrize(
    ("architecture", "changes", "expected"),
    [
        (BASE, {}, 24_224_526),
        (BASE, {"num_classes": 400}, 24_297_072),
        (LARGE, {"side_width": 512}, 106_535_598),
        (BASE, FOUR, 21_112_686),
        (BASE, {**FOUR, "num_classes": 400}, 21_185_232),
        (BASE, {"head": "cosine"}, 24_168_672 + 164_352),
        (BASE, {"head": "cosine", "fuse_frozen": True}, 24_168_672 + 164_352),
        (BASE, {"td_adapter": "none"}, 24_224_526 - 12 * 13_480),
        (BASE, {"td_adapter": "conv", "td_kernel": 5}, 24_224_526 + 12 * 20 * 5),
        (BASE, {"td_adapter": "direct"}, 24_224_526),
        (BASE, {"td_first_layer": 6, "td_last_layer": 8}, 24_224_526 - 9 * 13_480),
        (BASE, {"num_local_frames": 3}, 24_224_526 - 2_949_120 // 2),
        (BASE, {"num_local_frames": 1}, 24_224_526 - 2_949_440 - 640),
    ],
)
def test_trainable_parameters(architecture: str, changes: dict[str, Any], expected: int) -> None:
    assert sum(trainable(configure(architecture, **changes)).values()) == expected


def test_parameters_of_each_part() -> None:
    counts = trainable(configure())
    parts = {
        "blocks": 17_445_600,
        "tap_linears": 2_952_960,
        "tap_norms": 18_432,
        "position_embedding": 62_720,
        "stem.centre_conv": 737_600,
        "stem.difference_conv": 2_949_440,
        "stem.centre_norm": 640,
        "stem.difference_norm": 640,
        "post_norm": 640,
    }
    found = {part: sum(n for name, n in counts.items() if name.startswith(f"video.side.{part}")) for part in parts}
    assert found == parts


@pytest.mark.parametrize(
    ("architecture", "num_frames", "changes", "gmacs"),
    [
        (BASE, 8, {}, 180.558),
        (BASE, 16, {}, 361.116),
        (BASE, 32, {}, 722.232),
        (LARGE, 8, {"side_width": 512}, 878.325),
        (BASE, 8, FOUR, 175.693),
        (BASE, 8, {"head": "cosine", "fuse_frozen": True}, 180.561),
    ],
)
def test_multiply_accumulates_of_a_view(
    architecture: str, num_frames: int, changes: dict[str, Any], gmacs: float
) -> None:
    assert describe_model(configure(architecture, num_frames=num_frames, **changes)).gmacs_per_view == gmacs


def test_released_preset_weighs_differences_by_a_half() -> None:
    released = configure_method("tds_released", architecture=BASE, num_frames=8)
    assert released == configure(sme_alpha=0.5)
    assert configure().adapters == SideNetworkConfig(num_classes=174, sme_alpha=1.0)
