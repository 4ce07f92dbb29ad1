"""The written-out attention against torch's own."""

import pytest
import torch
from torch import nn

from training.models.attention import causal_mask, cross_attention, self_attention


@torch.no_grad()
@pytest.mark.parametrize("is_causal", [True, False])
def test_attention_equals_torch_with_and_without_mask(is_causal: bool) -> None:
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(24, 3, batch_first=True)
    tokens = torch.randn(2, 5, 24)
    mask = causal_mask(tokens) if is_causal else None
    expected, _ = layer(tokens, tokens, tokens, need_weights=False, attn_mask=None if mask is None else ~mask)
    torch.testing.assert_close(self_attention(layer, tokens, mask=mask), expected)


@torch.no_grad()
def test_attention_of_some_queries_equals_torch() -> None:
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(24, 3, batch_first=True)
    nn.init.normal_(layer.in_proj_bias)
    queries, tokens = torch.randn(2, 4, 24), torch.randn(2, 5, 24)
    expected, _ = layer(queries, tokens, tokens, need_weights=False)
    torch.testing.assert_close(cross_attention(layer, queries, tokens), expected)


def test_causal_mask_lets_a_token_see_itself_and_the_past() -> None:
    expected = torch.tensor([[True, False, False], [True, True, False], [True, True, True]])
    assert torch.equal(causal_mask(torch.zeros(2, 3, 4)), expected)
