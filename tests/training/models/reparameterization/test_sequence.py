"""The LSTM by its gates and the transformer by its heads, against torch's tensors."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.training.models.reparameterization.slow import INNER, WIDTH, beta_on_tokens, build, linear
from training.models.reparameterization.sequence import NUM_HEADS, ClipTransformer, FrameLSTM


def slow_direction(lstm: nn.LSTM, tokens: list[Tensor], *, suffix: str) -> list[Tensor]:
    """Outputs of one layer in one direction, by the gates of Hochreiter and Schmidhuber (1997) in torch's order."""
    names = ("weight_ih_", "bias_ih_", "weight_hh_", "bias_hh_")
    of_input, input_bias, of_state, state_bias = (getattr(lstm, name + suffix) for name in names)
    state = cell = torch.zeros(lstm.hidden_size)
    outputs = []
    for token in tokens:
        parts = (of_input @ token + input_bias + of_state @ state + state_bias).chunk(4)
        write, keep, read = (1 / (1 + (-parts[index]).exp()) for index in (0, 1, 3))
        cell = keep * cell + write * parts[2].tanh()
        state = read * cell.tanh()
        outputs.append(state)
    return outputs


def slow_lstm(hidden: Tensor, *, lstm: nn.LSTM) -> Tensor:
    frames = []
    for frame in hidden:
        tokens = list(frame)
        for layer in range(lstm.num_layers):
            ahead = slow_direction(lstm, tokens, suffix=f"l{layer}")
            back = slow_direction(lstm, tokens[::-1], suffix=f"l{layer}_reverse")[::-1]
            tokens = [torch.cat(pair) for pair in zip(ahead, back, strict=True)]
        frames.append(torch.stack(tokens))
    return torch.stack(frames)


def slow_attention(layer: nn.MultiheadAttention, tokens: list[Tensor]) -> list[Tensor]:
    size = layer.embed_dim // NUM_HEADS
    weights, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    query, key, value = ([w @ token + b for token in tokens] for w, b in zip(weights, biases, strict=True))
    outputs = []
    for own in query:
        heads = []
        for part in (slice(head * size, (head + 1) * size) for head in range(NUM_HEADS)):
            scores = [math.exp(float(own[part] @ other[part]) / math.sqrt(size)) for other in key]
            heads.append(sum(score / sum(scores) * other[part] for score, other in zip(scores, value, strict=True)))
        outputs.append(linear(layer.out_proj, torch.cat(heads)))  # type: ignore[arg-type]
    return outputs


def slow_norm(layer: nn.LayerNorm, token: Tensor) -> Tensor:
    centred = token - token.mean()
    return centred / (centred.square().mean() + layer.eps).sqrt() * layer.weight + layer.bias


def slow_transformer(hidden: Tensor, *, block: ClipTransformer) -> Tensor:
    tokens = [token for frame in hidden for token in frame]
    for layer in block.layers.children():
        mixed = slow_attention(layer.attention, tokens)  # type: ignore[arg-type]
        tokens = [slow_norm(layer.attention_norm, a + b) for a, b in zip(tokens, mixed, strict=True)]  # type: ignore[arg-type]
        inner = [linear(layer.mlp_out, linear(layer.mlp_in, token).clamp_min(0)) for token in tokens]  # type: ignore[arg-type]
        tokens = [slow_norm(layer.mlp_norm, a + b) for a, b in zip(tokens, inner, strict=True)]  # type: ignore[arg-type]
    return torch.stack(tokens).unflatten(0, hidden.shape[:2])


@pytest.mark.parametrize("num_layers", [1, 2])
def test_lstm_equals_its_gates(num_layers: int) -> None:
    beta, prompts = build(5, beta="lstm", beta_units=num_layers), torch.randn(2, 3, 5, WIDTH)
    assert isinstance(beta.block, FrameLSTM)
    block = partial(slow_lstm, lstm=beta.block.lstm)
    expected = torch.stack([beta_on_tokens(beta, clip, block=block) for clip in prompts])
    torch.testing.assert_close(beta(prompts), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_transformer_equals_its_heads(num_layers: int) -> None:
    beta, prompts = build(4, beta="transformer", beta_units=num_layers, beta_width=8), torch.randn(2, 3, 4, WIDTH)
    assert isinstance(beta.block, ClipTransformer)
    block = partial(slow_transformer, block=beta.block)
    expected = torch.stack([beta_on_tokens(beta, clip, block=block) for clip in prompts])
    torch.testing.assert_close(beta(prompts), expected, atol=1e-5, rtol=1e-5)


def test_transformer_layer_equals_torchs() -> None:
    layer = ClipTransformer(INNER * 2, num_layers=1).layers[0]
    names = {"attention.": "self_attn.", "attention_norm": "norm1", "mlp_in": "linear1", "mlp_out": "linear2",
             "mlp_norm": "norm2"}  # fmt: skip
    theirs = nn.TransformerEncoderLayer(INNER * 2, NUM_HEADS, INNER * 8, dropout=0.0, batch_first=True)
    state = {}
    for name, tensor in layer.state_dict().items():
        prefix = next(each for each in names if name.startswith(each))
        state[names[prefix] + name.removeprefix(prefix)] = tensor
    theirs.load_state_dict(state)
    tokens = torch.randn(2, 7, INNER * 2)
    torch.testing.assert_close(layer(tokens), theirs(tokens), atol=1e-6, rtol=1e-5)


def test_mlp_is_two_maps_around_gelu() -> None:
    beta, prompts = build(4, beta="mlp"), torch.randn(2, 3, 4, WIDTH)
    expected = torch.stack([beta_on_tokens(beta, clip, block=functional.gelu) for clip in prompts])
    torch.testing.assert_close(beta(prompts), expected, atol=1e-5, rtol=1e-5)
