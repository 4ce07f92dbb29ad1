"""The TD-Adapter against loops over segments, for each of its variants."""

from typing import Literal

import numpy as np
import pytest
import torch

from tests.training.models.tds.slow import array, convolve, normalise_batch, scatter, window_of
from training.models.tds.temporal_difference import TemporalDifferenceAdapter

FEATURES = torch.randn(2, 32, 5, 2, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
Variant = Literal["pool", "conv", "direct"]


def adapter(variant: Variant, *, kernel: int = 3) -> TemporalDifferenceAdapter:
    built = TemporalDifferenceAdapter(32, variant=variant, kernel=kernel)
    scatter(built)
    return built


def reference_of(built: TemporalDifferenceAdapter, reduced: np.ndarray, t: int) -> np.ndarray:
    """What segment t is compared with."""
    if built.variant == "direct":
        return reduced[:, :, max(0, t - 1)]
    if built.variant == "pool":
        return window_of(reduced, t, kernel=built.kernel).max(axis=2)
    assert built.window is not None
    weight, half = array(built.window.weight)[:, 0, :, 0, 0], built.kernel // 2
    taps = [(t + k - half, weight[:, k, None, None]) for k in range(built.kernel)]
    return sum(reduced[:, :, s] * w for s, w in taps if 0 <= s < reduced.shape[2])


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("variant", ["pool", "conv", "direct"])
def test_adapter_equals_the_loop_over_segments(variant: Variant, kernel: int) -> None:
    built = adapter(variant, kernel=kernel)
    features = array(FEATURES)
    reduced = normalise_batch(convolve(features, built.conv1), built.bn1)
    differences = np.stack([reduced[:, :, t] - reference_of(built, reduced, t) for t in range(5)], axis=2)
    mixed = (differences + differences.sum(axis=1, keepdims=True) / differences.shape[1]) / 2
    widened = normalise_batch(convolve(mixed, built.conv2), built.bn2)
    expected = features * (1 + 1 / (1 + np.exp(-widened)) - 0.5)
    np.testing.assert_allclose(array(built(FEATURES)), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("variant", ["pool", "conv", "direct"])
def test_gate_changes_when_time_runs_back(variant: Variant) -> None:
    built = adapter(variant)
    moved = (built(FEATURES) - built(FEATURES.flip(2)).flip(2)).abs().max()
    # A maximum over a symmetric window does not know the direction; it knows only who the neighbours are.
    assert (moved < 1e-6) == (variant == "pool")


@pytest.mark.parametrize("variant", ["pool", "conv", "direct"])
def test_gate_depends_on_the_neighbours(variant: Variant) -> None:
    built, changed = adapter(variant), FEATURES.clone()
    changed[:, :, 1] += 3
    assert (built(FEATURES) - built(changed))[:, :, 2].abs().max() > 1e-3


def test_learnt_window_starts_as_the_mean() -> None:
    window = TemporalDifferenceAdapter(32, variant="conv", kernel=5).window
    assert window is not None
    assert torch.equal(window.weight, torch.full((2, 1, 5, 1, 1), 0.2))


def test_gate_keeps_features_between_half_and_one_and_a_half() -> None:
    ratio = adapter("direct")(FEATURES) / FEATURES
    assert 0.5 <= ratio.min() < ratio.max() <= 1.5
