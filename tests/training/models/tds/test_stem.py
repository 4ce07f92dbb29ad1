"""The stem against loops over windows, and what differences see."""

import numpy as np
import pytest
import torch

from tests.training.models.tds.slow import array, convolve, normalise_batch, scatter
from training.models.tds.stem import SideStem, local_differences


def stem(num_local_frames: int, *, padding: int = 1, alpha: float = 0.5) -> SideStem:
    built = SideStem(6, patch_size=4, padding=padding, num_local_frames=num_local_frames, alpha=alpha, beta=2.0)
    scatter(built)
    return built


def segments(num_local_frames: int) -> torch.Tensor:
    return torch.randn(2, 3, num_local_frames, 8, 8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("num_local_frames", [1, 3, 5])
def test_stem_equals_sums_over_windows(num_local_frames: int, padding: int) -> None:
    built, pixels = stem(num_local_frames, padding=padding), segments(num_local_frames)
    frames = np.moveaxis(array(pixels), -1, 1)
    expected = 2.0 * normalise_batch(
        convolve(frames[:, :, :, num_local_frames // 2], built.centre_conv), built.centre_norm
    )
    if built.difference_conv is not None and built.difference_norm is not None:
        pairs = [frames[:, :, :, j + 1] - frames[:, :, :, j] for j in range(num_local_frames - 1)]
        differences = convolve(np.concatenate(pairs, axis=1), built.difference_conv)
        expected += 0.5 * normalise_batch(differences, built.difference_norm)
    np.testing.assert_allclose(array(built(pixels)), expected, atol=1e-9, rtol=0)


def test_differences_are_later_less_earlier_with_colours_together() -> None:
    pixels = torch.zeros(1, 1, 3, 1, 1, 3)
    pixels[0, 0, :, 0, 0] = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [100.0, 200.0, 300.0]])
    assert local_differences(pixels).flatten().tolist() == [9.0, 18.0, 27.0, 90.0, 180.0, 270.0]


def test_one_local_frame_has_no_differences() -> None:
    assert {name.split("_")[0] for name in stem(1).state_dict()} == {"centre"}


def test_local_frames_in_reverse_embed_otherwise() -> None:
    built, pixels = stem(5), segments(5)
    assert (built(pixels) - built(pixels.flip(2))).abs().max() > 0.1


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_alpha_weighs_the_differences(alpha: float) -> None:
    pixels = segments(5)
    without, with_one = stem(5, alpha=0.0)(pixels), stem(5, alpha=1.0)(pixels)
    torch.testing.assert_close(stem(5, alpha=alpha)(pixels), without + alpha * (with_one - without))
