"""C3D and R(2+1)D against loops, in every layout."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from tests.training.models.reparameterization.slow import (
    CELLS,
    WIDTH,
    beta_on_cells,
    build,
    convolve,
    convolve_plane,
    normalise,
)


def steps(unit: nn.Sequential) -> list[list[nn.Module]]:
    layers = list(unit)
    return [layers[start : start + 3] for start in range(0, len(layers), 3)]


def slow_unit(volume: Tensor, *, unit: nn.Sequential, layout: str) -> Tensor:
    """Apply conv, norm and ReLU; the first convolution runs over the cells of the layout, a second one over time."""
    run = convolve_plane if layout == "plane" else convolve
    for conv, norm, _ in steps(unit):
        assert isinstance(conv, nn.Conv3d)
        assert isinstance(norm, nn.BatchNorm3d)
        volume = normalise(norm, run(conv.weight, conv.bias, volume)).clamp_min(0)
        run = convolve
    return volume


def slow_units(volume: Tensor, *, block: nn.Sequential, layout: str) -> Tensor:
    for unit in block:
        volume = slow_unit(volume, unit=unit, layout=layout)  # type: ignore[arg-type]
    return volume


@pytest.mark.parametrize("kind", ["c3d", "r2plus1d"])
@pytest.mark.parametrize(("layout", "num_tokens", "cells"), CELLS)
def test_convolutions_equal_loops(kind: str, layout: str, num_tokens: int, cells: tuple[int, int]) -> None:
    beta, prompts = build(num_tokens, beta=kind, beta_layout=layout), torch.randn(2, 3, num_tokens, WIDTH)
    units = partial(slow_units, block=beta.block, layout=layout)  # type: ignore[arg-type]
    expected = torch.stack([beta_on_cells(beta, clip, cells=cells, units=units) for clip in prompts])
    torch.testing.assert_close(beta(prompts), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "convolutions"), [("c3d", 1), ("r2plus1d", 2), ("tada", 1)])
@pytest.mark.parametrize("num_units", [1, 3])
def test_block_has_the_units_that_are_asked_for(kind: str, convolutions: int, num_units: int) -> None:
    block = build(5, beta=kind, beta_units=num_units).block
    norms = [each for unit in block.children() for each in unit if isinstance(each, nn.BatchNorm3d)]  # type: ignore[attr-defined]
    assert len(norms) == convolutions * num_units


def test_names_of_the_default_block_are_those_of_shipped_runs() -> None:
    names = {name for name, _ in build(5, beta_units=1).named_parameters()}
    layers = ["down", "block.0.0", "block.0.1", "block.0.3", "block.0.4", "up"]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
