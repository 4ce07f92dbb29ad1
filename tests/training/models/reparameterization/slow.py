"""Linear maps, convolutions and norms in loops, and a beta around any block of them: what the variants must equal."""

from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor, nn

from training.config.adapters import TemporalPromptConfig
from training.models.reparameterization.encoder import Reparameterization

WIDTH, INNER = 6, 4
CELLS = [("grid", 5, (3, 2)), ("grid", 7, (3, 3)), ("grid", 1, (1, 1)), ("line", 5, (5, 1)), ("plane", 5, (5, 1))]


def build(num_tokens: int, **changes: object) -> Reparameterization:
    """Build a small beta whose every number is random, statistics included."""
    torch.manual_seed(0)
    config = TemporalPromptConfig(**{"beta_width": INNER, "zero_init_beta": False, **changes})  # type: ignore[arg-type]
    beta = Reparameterization(config, width=WIDTH, num_tokens=num_tokens)
    for values in [*beta.parameters(), *beta.buffers()]:
        if values.is_floating_point():
            nn.init.uniform_(values, 0.2, 1.2) if values.ndim == 1 else nn.init.normal_(values, std=0.4)
    return beta.eval()


def linear(layer: nn.Linear, token: Tensor) -> Tensor:
    return layer.weight @ token + layer.bias


def normalise(layer: nn.BatchNorm3d, volume: Tensor) -> Tensor:
    """Normalise one clip [channels, T, h, w] by running statistics."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    scale = layer.weight / (layer.running_var + layer.eps).sqrt()
    shift = layer.bias - layer.running_mean * scale
    return volume * scale[:, None, None, None] + shift[:, None, None, None]


def convolve(kernel: Tensor, bias: Tensor | None, volume: Tensor) -> Tensor:
    """Convolve one clip [channels, T, h, w] with zeros outside."""
    _, times, rows, columns = volume.shape
    output = torch.zeros(kernel.shape[0], times, rows, columns)
    centre = [size // 2 for size in kernel.shape[2:]]
    for t, y, x in product(range(times), range(rows), range(columns)):
        if bias is not None:
            output[:, t, y, x] = bias
        for a, b, c in product(*(range(size) for size in kernel.shape[2:])):
            s, v, u = t + a - centre[0], y + b - centre[1], x + c - centre[2]
            if 0 <= s < times and 0 <= v < rows and 0 <= u < columns:
                output[:, t, y, x] += kernel[:, :, a, b, c] @ volume[:, s, v, u]
    return output


def convolve_plane(kernel: Tensor, bias: Tensor | None, volume: Tensor) -> Tensor:
    """Convolve the plane of frames and tokens of one clip [channels, T, P, 1]: the kernel's depth sees one layer."""
    plane = volume[..., 0][:, None]
    return convolve(kernel, bias, plane)[:, 0, :, :, None]


@torch.no_grad()
def beta_on_cells(
    beta: Reparameterization, clip: Tensor, *, cells: tuple[int, int], units: Callable[[Tensor], Tensor]
) -> Tensor:
    """P_R of one clip [T, P, D] whose tokens lie row by row in ``cells``."""
    times, num_tokens, _ = clip.shape
    volume = torch.zeros(INNER, times, *cells)
    places = [(t, token, *divmod(token, cells[1])) for t, token in product(range(times), range(num_tokens))]
    for t, token, row, column in places:
        volume[:, t, row, column] = linear(beta.down, clip[t, token])
    volume = units(volume)
    refined = clip.clone()
    for t, token, row, column in places:
        refined[t, token] += linear(beta.up, volume[:, t, row, column])
    return refined


@torch.no_grad()
def beta_on_tokens(beta: Reparameterization, clip: Tensor, *, block: Callable[[Tensor], Tensor]) -> Tensor:
    """P_R of one clip [T, P, D] by a block that maps [T, P, r] to [T, P, r]."""
    hidden = torch.stack([torch.stack([linear(beta.down, token) for token in frame]) for frame in clip])
    return clip + torch.stack([torch.stack([linear(beta.up, token) for token in frame]) for frame in block(hidden)])
