"""TAdaConv against kernels that are made for every frame, as its authors define it."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from tests.training.models.reparameterization.slow import CELLS, INNER, WIDTH, beta_on_cells, build, convolve, normalise
from training.models.reparameterization.tada import RouteFunction, TAdaConv

FRAME_CELLS = [each for each in CELLS if each[0] != "plane"]


def slow_alpha(route: RouteFunction, volume: Tensor) -> Tensor:
    """Calibration [channels, T] of one clip [channels, T, h, w]."""
    num_frames, num_cells = volume.shape[1], volume.shape[2] * volume.shape[3]
    frames = [volume[:, t].sum((1, 2)) / num_cells for t in range(num_frames)]
    clip = torch.stack(frames).sum(0) / num_frames
    assert route.mix_clip.bias is not None
    mixed = route.mix_clip.weight[:, :, 0, 0, 0] @ clip + route.mix_clip.bias
    described = torch.stack([frame + mixed for frame in frames], dim=1)[:, :, None, None]
    hidden = normalise(route.norm, convolve(route.reduce.weight, route.reduce.bias, described)).clamp_min(0)
    return 1 + convolve(route.expand.weight, None, hidden)[:, :, 0, 0]


def dynamic_conv(layer: TAdaConv, volume: Tensor) -> Tensor:
    """Convolve each frame of one clip with a kernel of its own."""
    alpha, kernel = slow_alpha(layer.route, volume), layer.conv.weight
    kernels = [torch.einsum("oiabc,i->oiabc", kernel, alpha[:, t]) for t in range(volume.shape[1])]
    frames = [convolve(own, layer.conv.bias, volume[:, t : t + 1]) for t, own in enumerate(kernels)]
    return torch.cat(frames, dim=1)


def slow_units(volume: Tensor, *, block: nn.Sequential) -> Tensor:
    for conv, norm, _ in (list(unit.children()) for unit in block):
        assert isinstance(conv, TAdaConv)
        assert isinstance(norm, nn.BatchNorm3d)
        volume = normalise(norm, dynamic_conv(conv, volume)).clamp_min(0)
    return volume


@pytest.mark.parametrize(("layout", "num_tokens", "cells"), FRAME_CELLS)
def test_scaled_inputs_equal_a_kernel_for_every_frame(layout: str, num_tokens: int, cells: tuple[int, int]) -> None:
    beta, prompts = build(num_tokens, beta="tada", beta_layout=layout), torch.randn(2, 3, num_tokens, WIDTH)
    units = partial(slow_units, block=beta.block)  # type: ignore[arg-type]
    expected = torch.stack([beta_on_cells(beta, clip, cells=cells, units=units) for clip in prompts])
    torch.testing.assert_close(beta(prompts), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_plane_scales_each_frame_by_its_own_calibration() -> None:
    block = build(5, beta="tada", beta_layout="plane", beta_units=1).block
    layer, volume = block[0][0], torch.randn(1, INNER, 3, 5, 1)  # type: ignore[index]
    assert isinstance(layer, TAdaConv)
    scaled = volume[0] * slow_alpha(layer.route, volume[0])[:, :, None, None]
    plane = convolve(layer.conv.weight, layer.conv.bias, scaled.permute(0, 3, 1, 2))
    torch.testing.assert_close(layer(volume)[0], plane.permute(0, 2, 3, 1), atol=1e-5, rtol=1e-5)


def test_calibration_starts_at_one() -> None:
    alpha = RouteFunction(8)(torch.randn(2, 8, 3, 5, 4))
    assert torch.equal(alpha, torch.ones(2, 8, 3, 1, 1))
