"""Temporal prompts against Eq. 8-10 in loops, and their start."""

import math

import pytest
import torch
from torch import Tensor, nn

from training.models.temporal_prompts import TemporalPrompts

WIDTH, NUM_FRAMES, NUM_GLOBAL = 8, 3, 2


def build(*, projection_init: str = "torch_default", global_prompts: str = "broadcast") -> TemporalPrompts:
    torch.manual_seed(0)
    prompts = TemporalPrompts(
        width=WIDTH,
        num_heads=2,
        num_frames=NUM_FRAMES,
        num_global_prompts=NUM_GLOBAL,
        global_prompts=global_prompts,  # type: ignore[arg-type]
        projection_init=projection_init,  # type: ignore[arg-type]
        reparameterization=nn.Identity(),
    )
    nn.init.normal_(prompts.norm.weight)
    nn.init.normal_(prompts.attention.in_proj_bias)
    return prompts


def slow_attention(layer: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    query, key, value = (tokens @ w.T + b for w, b in zip(layer.in_proj_weight.chunk(3),
                                                           layer.in_proj_bias.chunk(3), strict=True))  # fmt: skip
    size = WIDTH // layer.num_heads
    rows = []
    for t in range(len(tokens)):
        heads = []
        for head in range(layer.num_heads):
            part = slice(head * size, (head + 1) * size)
            scores = torch.stack([query[t, part] @ key[s, part] / math.sqrt(size) for s in range(len(tokens))])
            shares = scores.exp() / scores.exp().sum()
            heads.append(sum(share * value[s, part] for s, share in enumerate(shares)))
        rows.append(torch.cat(heads) @ layer.out_proj.weight.T + layer.out_proj.bias)
    return torch.stack(rows)


def slow_norm(layer: nn.LayerNorm, row: Tensor) -> Tensor:
    centred = row - row.mean()
    return centred / (centred.square().mean() + layer.eps).sqrt() * layer.weight + layer.bias


@torch.no_grad()
def slow_prompts(prompts: TemporalPrompts, cls_tokens: Tensor) -> Tensor:
    projection = prompts.project_cls
    clips = []
    for clip in cls_tokens:
        projected = torch.stack([projection.weight @ token + projection.bias for token in clip])
        normed = torch.stack([slow_norm(prompts.norm, row) for row in projected])
        summary = slow_attention(prompts.attention, normed) + projected
        frames = []
        for t in range(NUM_FRAMES):
            interchange = [prompts.interchange_prompts[j] + projected[j] for j in range(NUM_FRAMES)]
            shared = prompts.global_prompts.expand(NUM_FRAMES, NUM_GLOBAL, WIDTH)[t]
            frames.append(torch.stack([summary[t], *shared, *interchange]))
        clips.append(torch.stack(frames))
    return torch.stack(clips)


@pytest.mark.parametrize("global_prompts", ["broadcast", "per_frame"])
def test_prompts_equal_the_equations_in_loops(global_prompts: str) -> None:
    prompts, cls_tokens = build(global_prompts=global_prompts), torch.randn(2, NUM_FRAMES, WIDTH)
    assert prompts(cls_tokens).shape == (2, NUM_FRAMES, 1 + NUM_GLOBAL + NUM_FRAMES, WIDTH)
    torch.testing.assert_close(prompts(cls_tokens), slow_prompts(prompts, cls_tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "shape"), [("broadcast", (2, 8)), ("per_frame", (3, 2, 8))])
def test_global_prompts_are_shared_or_one_set_a_frame(kind: str, shape: tuple[int, ...]) -> None:
    assert build(global_prompts=kind).global_prompts.shape == shape


def test_reparameterization_sees_the_joined_prompts() -> None:
    prompts, cls_tokens = build(), torch.randn(1, NUM_FRAMES, WIDTH)
    plain = prompts(cls_tokens)
    prompts.reparameterization = nn.Sequential(nn.Flatten(3), nn.Softplus())
    torch.testing.assert_close(prompts(cls_tokens), nn.functional.softplus(plain))


def test_projection_starts_as_the_identity_where_asked() -> None:
    prompts = build(projection_init="identity")
    assert torch.equal(prompts.project_cls.weight, torch.eye(WIDTH))
    assert torch.equal(prompts.project_cls.bias, torch.zeros(WIDTH))
    assert not torch.equal(build().project_cls.weight, torch.eye(WIDTH))


@pytest.mark.parametrize("name", ["global_prompts", "interchange_prompts"])
def test_prompts_start_within_their_bound(name: str) -> None:
    values, bound = getattr(build(), name), math.sqrt(6 / (768 + WIDTH))
    assert 0.5 * bound < values.abs().max() <= bound
