"""A side block against loops over places, channels and heads."""

import numpy as np
import pytest
import torch

from tests.training.models.tds.slow import (
    array,
    attend,
    convolve,
    gelu,
    normalise_batch,
    normalise_layer,
    scatter,
    shift,
)
from training.models.tds.side_block import SideBlock
from training.models.tds.temporal_difference import TemporalDifferenceAdapter

GENERATOR = torch.Generator().manual_seed(4)
PATCHES = torch.randn(2, 8, 3, 2, 2, generator=GENERATOR, dtype=torch.float64)
CLS_TOKENS = torch.randn(2, 3, 8, generator=GENERATOR, dtype=torch.float64)
POSITIONS = torch.randn(4, 8, generator=GENERATOR, dtype=torch.float64)


def block(*, has_adapter: bool) -> SideBlock:
    adapter = TemporalDifferenceAdapter(8, variant="pool", kernel=3) if has_adapter else None
    built = SideBlock(8, num_heads=2, num_layers=2, td_adapter=adapter)
    scatter(built)
    return built


def slow_block(built: SideBlock) -> np.ndarray:
    """One block, with the adapter's own forward, which is checked where it lives."""
    mixed = normalise_batch(array(PATCHES), built.bn_1)
    for layer in built.conv:
        assert isinstance(layer, torch.nn.Conv3d)
        mixed = convolve(mixed, layer)
    if built.td_adapter is not None:
        mixed = array(built.td_adapter(torch.from_numpy(mixed)))
    patches, cls_tokens = array(PATCHES) + mixed, shift(array(CLS_TOKENS))
    for n, t in np.ndindex(2, 3):
        placed = patches[n, :, t].reshape(8, 4).T + array(POSITIONS)
        tokens = normalise_layer(np.concatenate([cls_tokens[n, t][None], placed]), built.ln_1)
        patches[n, :, t] += attend(tokens, built.attn).T.reshape(8, 2, 2)
    inner = np.einsum("ncthw,dc->ndthw", normalise_batch(patches, built.bn_2), array(built.mlp.fc1.weight))
    inner = gelu(inner + array(built.mlp.fc1.bias)[:, None, None, None])
    outer = np.einsum("ndthw,cd->ncthw", inner, array(built.mlp.fc2.weight))
    return patches + outer + array(built.mlp.fc2.bias)[:, None, None, None]


@pytest.mark.parametrize("has_adapter", [False, True])
def test_block_equals_the_loop_over_places(has_adapter: bool) -> None:
    built = block(has_adapter=has_adapter)
    output = built(PATCHES, cls_tokens=CLS_TOKENS, positions=POSITIONS)
    np.testing.assert_allclose(array(output), slow_block(built), atol=1e-9, rtol=0)


def test_gradients_equal_small_differences() -> None:
    built = block(has_adapter=True).train()
    inputs = [each.clone().requires_grad_() for each in (PATCHES, CLS_TOKENS, POSITIONS)]

    def run(patches: torch.Tensor, cls_tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        return built(patches, cls_tokens=cls_tokens, positions=positions)[:, :, :, 0, 0]

    assert torch.autograd.gradcheck(run, inputs, atol=1e-5)


def test_norms_learn_once_a_pass_though_parts_run_twice() -> None:
    built = block(has_adapter=True).train()
    built(PATCHES, cls_tokens=CLS_TOKENS, positions=POSITIONS).sum().backward()
    counts = [int(each) for name, each in built.named_buffers() if name.endswith("num_batches_tracked")]
    assert counts == [1, 1, 1, 1]


def test_class_token_of_the_next_segment_is_seen() -> None:
    built, changed = block(has_adapter=False), CLS_TOKENS.clone()
    changed[:, 2] += 1
    before, after = (built(PATCHES, cls_tokens=each, positions=POSITIONS) for each in (CLS_TOKENS, changed))
    moved = (before - after).abs().amax(dim=(0, 1, 3, 4))
    assert (moved > 1e-4).tolist() == [False, True, False]


def test_maps_on_the_residual_path_start_small() -> None:
    drawn = SideBlock(256, num_heads=4, num_layers=12, td_adapter=None)
    deviations = [each.std().item() for each in (drawn.attn.in_proj_weight, drawn.attn.out_proj.weight,
                                                 drawn.mlp.fc1.weight, drawn.mlp.fc2.weight)]  # fmt: skip
    assert deviations == pytest.approx([1 / 16, 24**-0.5 / 16, 512**-0.5, 24**-0.5 / 16], rel=0.02)
