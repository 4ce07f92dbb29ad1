"""Parameters and multiply-accumulates of the published sizes, counted without weights."""

from dataclasses import replace

import pytest
import torch

from service.contract.manifest import Method
from training.config import ModelConfig, TemporalPromptConfig
from training.models.builders import build_model
from training.models.compute import count_macs_per_view
from training.models.freezing import parameter_groups

BETA, NO_BETA = TemporalPromptConfig(), TemporalPromptConfig(beta="none")


def trainable(prompts: TemporalPromptConfig, *, num_frames: int) -> int:
    with torch.device("meta"):
        model = build_model(ModelConfig(num_frames=num_frames, temporal_prompts=prompts))
    return sum(parameter.numel() for parameter in model.trainable_parameters())


@pytest.mark.parametrize(
    ("num_frames", "expected"), [(4, 54_191_232), (8, 54_231_168), (16, 54_311_040), (32, 54_470_784)]
)
def test_trainable_parameters_by_frames(num_frames: int, expected: int) -> None:
    assert trainable(BETA, num_frames=num_frames) == expected


@pytest.mark.parametrize(
    ("num_global_prompts", "expected"), [(5, 54_203_520), (8, 54_231_168), (10, 54_249_600), (12, 54_268_032)]
)
def test_trainable_parameters_by_global_prompts(num_global_prompts: int, expected: int) -> None:
    assert trainable(replace(BETA, num_global_prompts=num_global_prompts), num_frames=8) == expected


def test_trainable_parameters_of_temporal_prompts_alone() -> None:
    assert trainable(NO_BETA, num_frames=8) == 35_607_552


def test_groups_of_the_default_model() -> None:
    with torch.device("meta"):
        model = build_model(ModelConfig())
    assert parameter_groups(model) == {
        "temporal_prompts": (35_607_552, 0),
        "reparameterization": (18_623_616, 0),
        "video": (0, 86_192_640),
        "english": (0, 63_428_096),
        "chinese": (0, 102_070_272),
    }


@pytest.mark.parametrize(
    ("prompts", "num_frames", "gmacs"),
    [
        (BETA, 4, 73.40),
        (BETA, 8, 148.546),
        (BETA, 16, 303.432),
        (BETA, 32, 635.69),
        (NO_BETA, 4, 72.26),
        (NO_BETA, 8, 145.673),
        (NO_BETA, 16, 296.000),
        (NO_BETA, 32, 610.85),
        (None, 4, 70.25),
        (None, 8, 140.508),
        (None, 16, 281.015),
        (None, 32, 562.031),
    ],
)
def test_multiply_accumulates_of_a_view(prompts: TemporalPromptConfig | None, num_frames: int, gmacs: float) -> None:
    method: Method = "vanilla" if prompts is None else "dual_semantic"
    config = ModelConfig(method=method, num_frames=num_frames, temporal_prompts=prompts)
    assert count_macs_per_view(config) / 1e9 == pytest.approx(gmacs, abs=0.006 if gmacs * 1000 % 10 < 1e-6 else 0.0006)
