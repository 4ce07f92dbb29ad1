"""The encoder beta against Eq. 12 in loops, its grid, and its start."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from training.models.reparameterization import Reparameterization

WIDTH, INNER = 6, 3


def build(num_tokens: int, *, zero_init: bool = False) -> Reparameterization:
    torch.manual_seed(0)
    beta = Reparameterization(width=WIDTH, inner_width=INNER, num_tokens=num_tokens, zero_init=zero_init)
    for name, values in beta.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            values.uniform_(0.5, 1.5)
    return beta.eval()


def slow_conv(layer: nn.Conv3d, hidden: Tensor) -> Tensor:
    """Convolve one clip [channels, T, h, w] with zeros outside."""
    _, times, rows, columns = hidden.shape
    depth, height, width = layer.kernel_size
    output = torch.zeros(layer.out_channels, times, rows, columns)
    for t, y, x in product(range(times), range(rows), range(columns)):
        assert layer.bias is not None
        output[:, t, y, x] = layer.bias
        for a, b, c in product(range(depth), range(height), range(width)):
            s, v, u = t + a - depth // 2, y + b - height // 2, x + c - width // 2
            if 0 <= s < times and 0 <= v < rows and 0 <= u < columns:
                output[:, t, y, x] += layer.weight[:, :, a, b, c] @ hidden[:, s, v, u]
    return output


def slow_norm(layer: nn.BatchNorm3d, hidden: Tensor) -> Tensor:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    scale = layer.weight / (layer.running_var + layer.eps).sqrt()
    return (hidden - layer.running_mean[:, None, None, None]) * scale[:, None, None, None] + layer.bias[
        :, None, None, None
    ]


@torch.no_grad()
def slow_beta(beta: Reparameterization, clip: Tensor, *, grid: tuple[int, int]) -> Tensor:
    times, num_tokens, _ = clip.shape
    hidden = torch.zeros(INNER, times, *grid)
    for t, token in product(range(times), range(num_tokens)):
        row, column = divmod(token, grid[1])
        hidden[:, t, row, column] = beta.down.weight @ clip[t, token] + beta.down.bias
    for unit in beta.block:
        assert isinstance(unit, nn.Sequential)
        for conv, norm in ((unit[0], unit[1]), (unit[3], unit[4])):
            hidden = slow_norm(norm, slow_conv(conv, hidden)).clamp_min(0)  # type: ignore[arg-type]
    refined = clip.clone()
    for t, token in product(range(times), range(num_tokens)):
        row, column = divmod(token, grid[1])
        refined[t, token] += beta.up.weight @ hidden[:, t, row, column] + beta.up.bias
    return refined


@pytest.mark.parametrize(("num_tokens", "grid"), [(5, (3, 2)), (9, (3, 3)), (7, (3, 3)), (1, (1, 1))])
def test_beta_equals_the_equation_in_loops(num_tokens: int, grid: tuple[int, int]) -> None:
    beta, prompts = build(num_tokens), torch.randn(2, 3, num_tokens, WIDTH)
    expected = torch.stack([slow_beta(beta, clip, grid=grid) for clip in prompts])
    torch.testing.assert_close(beta(prompts), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("num_frames", "rows", "columns"), [(4, 4, 4), (8, 5, 4), (16, 5, 5), (32, 7, 6)])
def test_grid_of_the_published_sizes(num_frames: int, rows: int, columns: int) -> None:
    beta = Reparameterization(width=4, inner_width=2, num_tokens=1 + 8 + num_frames, zero_init=True)
    assert (beta.num_rows, beta.num_columns) == (rows, columns)


def test_beta_from_zero_changes_nothing() -> None:
    prompts = torch.randn(2, 3, 5, WIDTH)
    assert torch.equal(build(5, zero_init=True)(prompts), prompts)
