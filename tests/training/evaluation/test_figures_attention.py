"""Attention as it is read for figures is the attention that the encoder computes."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.training.tiny import MODEL, random_clips, tiny_model, tiny_prompts
from training.config.adapters import NoAdapters
from training.config.model import ModelConfig
from training.evaluation.figures.attention import attention_weights, read_cls_attention
from training.models.attention import self_attention

ENGLISH_CLIP = replace(MODEL, adapters=NoAdapters())
CONFIGS = pytest.mark.parametrize(
    ("config", "num_tokens"), [(MODEL, 5 + 7), (tiny_prompts(beta="none"), 5 + 7), (ENGLISH_CLIP, 5)]
)


def value(layer: nn.MultiheadAttention, tokens: torch.Tensor) -> torch.Tensor:
    width = layer.embed_dim
    flat = functional.linear(tokens, layer.in_proj_weight[2 * width :], layer.in_proj_bias[2 * width :])
    return flat.unflatten(-1, (layer.num_heads, -1)).transpose(1, 2)


def finish_attention(layer: nn.MultiheadAttention, tokens: torch.Tensor) -> torch.Tensor:
    mixed = attention_weights(layer, tokens) @ value(layer, tokens)
    output: torch.Tensor = layer.out_proj(mixed.transpose(1, 2).flatten(-2))
    return output


def test_weights_times_values_are_the_layers_output() -> None:
    torch.manual_seed(0)
    layer, tokens = nn.MultiheadAttention(16, 4, batch_first=True), torch.randn(3, 7, 16)
    torch.testing.assert_close(finish_attention(layer, tokens), self_attention(layer, tokens))


@CONFIGS
def test_weights_sum_to_one_over_all_tokens(config: ModelConfig, num_tokens: int) -> None:
    attention = read_cls_attention(tiny_model(config).eval().video, random_clips(2))
    assert attention.weights.shape == (2, 4, num_tokens)
    torch.testing.assert_close(attention.weights.sum(dim=-1), torch.ones(2, 4))
    torch.testing.assert_close(attention.patches.flatten(2), attention.weights[..., 1:5])


@CONFIGS
def test_a_last_layer_made_of_the_weights_gives_the_models_features(config: ModelConfig, num_tokens: int) -> None:
    encoder = tiny_model(config).eval().video
    block, seen = encoder.visual.transformer.resblocks[-1], []
    hook = block.ln_1.register_forward_hook(lambda _, inputs, tokens: seen.append((inputs[0], tokens)))
    features = encoder(random_clips(2))
    hook.remove()
    sequence, tokens = seen[0]
    assert sequence.shape[1] == num_tokens
    kept = (sequence + finish_attention(block.attn, tokens))[:, 0]
    made = encoder.visual.ln_post(kept + block.mlp(block.ln_2(kept))) @ encoder.visual.proj
    torch.testing.assert_close(functional.normalize(made, dim=-1).unflatten(0, (2, 4)), features, atol=1e-5, rtol=0)


def test_patches_keep_their_places_in_the_frame() -> None:
    encoder = tiny_model(ENGLISH_CLIP).eval().video
    block = encoder.visual.transformer.resblocks[-1]
    with torch.no_grad():
        # Every key is that of its position; [CLS] asks for the key of the second patch of the first row.
        encoder.visual.positional_embedding.copy_(10 * torch.eye(5, 16))
        query, key = torch.zeros(16, 16), torch.zeros(16, 16)
        query[0, 0], key[0, 2] = 10.0, 10.0
        query[8, 0], key[8, 2] = 10.0, 10.0
        block.attn.in_proj_weight[:32] = torch.cat([query, key])
        block.attn.in_proj_bias[:32] = 0
    patches = read_cls_attention(encoder, random_clips(1)).patches[0, 0]
    assert patches.argmax().item() == 1


def test_reading_leaves_the_encoder_as_it_was() -> None:
    encoder, clips = tiny_model().eval().video, random_clips(1)
    before = encoder(clips)
    read_cls_attention(encoder, clips)
    assert torch.equal(encoder(clips), before)
    assert not encoder.visual.transformer.resblocks[-1].ln_1._forward_hooks
