"""The side network's parts a second time, in NumPy: one place, channel and head after another, from the weights."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn


def scatter(module: nn.Module) -> nn.Module:
    """Give every weight and running statistic a value of its own, the same every time; evaluate in doubles."""
    generator = torch.Generator().manual_seed(5)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point():
            drawn = torch.randn(tensor.shape, generator=generator)
            tensor.data.copy_(drawn.abs() + 0.5 if name.endswith("running_var") else 0.5 * drawn)
    return module.double().eval()


def array(tensor: Tensor | None) -> np.ndarray:
    """Take a tensor's numbers in double precision."""
    assert tensor is not None
    return tensor.detach().double().numpy()


def convolve(volume: Float[np.ndarray, "N C T H W"], layer: nn.Conv3d) -> Float[np.ndarray, "N O T h w"]:
    """Sum over every window of a zero-padded volume; channels of a depthwise layer keep to themselves."""
    weight, (_, stride, _), padding = array(layer.weight), layer.stride, layer.padding
    kernel_t, kernel_h, kernel_w = weight.shape[2:]
    padded = np.pad(volume, [(0, 0), (0, 0), *((int(each), int(each)) for each in padding)])
    grid = (padded.shape[3] - kernel_h) // stride + 1, (padded.shape[4] - kernel_w) // stride + 1
    outputs = np.zeros((volume.shape[0], weight.shape[0], padded.shape[2] - kernel_t + 1, *grid))
    spec = "ncthw,octhw->no" if layer.groups == 1 else "ncthw,cthw->nc"
    weight = weight if layer.groups == 1 else weight[:, 0]
    for t, row, column in np.ndindex(outputs.shape[2:]):
        window = padded[
            :, :, t : t + kernel_t, row * stride : row * stride + kernel_h, column * stride : column * stride + kernel_w
        ]
        outputs[:, :, t, row, column] = np.einsum(spec, window, weight)
    return outputs if layer.bias is None else outputs + array(layer.bias)[:, None, None, None]


def normalise_batch(volume: Float[np.ndarray, "N C T h w"], norm: nn.BatchNorm3d) -> Float[np.ndarray, "N C T h w"]:
    """Use the running statistics, channel by channel."""
    outputs = np.empty_like(volume)
    for channel in range(volume.shape[1]):
        mean, variance = array(norm.running_mean)[channel], array(norm.running_var)[channel]
        scaled = (volume[:, channel] - mean) / math.sqrt(variance + norm.eps)
        outputs[:, channel] = scaled * array(norm.weight)[channel] + array(norm.bias)[channel]
    return outputs


def shift(cls_tokens: Float[np.ndarray, "N T D"]) -> Float[np.ndarray, "N T D"]:
    """Move channels between segments one number at a time."""
    outputs = np.zeros_like(cls_tokens)
    num_segments, width = cls_tokens.shape[1:]
    for t, channel in np.ndindex(num_segments, width):
        source = t + 1 if channel < width // 2 else t - 1
        if 0 <= source < num_segments:
            outputs[:, t, channel] = cls_tokens[:, source, channel]
    return outputs


def normalise_layer(tokens: Float[np.ndarray, "*shape D"], norm: nn.LayerNorm) -> Float[np.ndarray, "*shape D"]:
    """Normalise each token over its channels."""
    centred = tokens - tokens.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + norm.eps)
    return centred / deviation * array(norm.weight) + array(norm.bias)


def attend(tokens: Float[np.ndarray, "N D"], layer: nn.MultiheadAttention) -> Float[np.ndarray, "M D"]:
    """Let every token but the first attend to all, head by head."""
    weight, bias = array(layer.in_proj_weight), array(layer.in_proj_bias)
    query, key, value = np.split(tokens @ weight.T + bias, 3, axis=1)
    width = tokens.shape[1] // layer.num_heads
    mixed = np.zeros((len(tokens) - 1, tokens.shape[1]))
    for head, place in np.ndindex(layer.num_heads, len(mixed)):
        own = slice(head * width, (head + 1) * width)
        shares = np.exp([query[place + 1, own] @ each / math.sqrt(width) for each in key[:, own]])
        mixed[place, own] = shares @ value[:, own] / shares.sum()
    return mixed @ array(layer.out_proj.weight).T + array(layer.out_proj.bias)


def gelu(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Apply the exact function to one number after another."""
    return np.vectorize(lambda value: value * 0.5 * (1 + math.erf(value / math.sqrt(2))))(values)


def window_of(volume: Float[np.ndarray, "N C T h w"], t: int, *, kernel: int) -> Float[np.ndarray, "N C K h w"]:
    """Cut the segments within half a kernel of one, without padding."""
    return volume[:, :, max(0, t - kernel // 2) : t + kernel // 2 + 1]
