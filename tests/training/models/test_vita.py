"""Temporal prompts alone against a Vita-CLIP visual branch (Wasim et al. 2023), written out from its equations.

The reference owns its weights under the names of that branch; `as_ours` renames them. It keeps global prompts in the
sequence between layers, normalises and attends token by token, and has a bias at its patch embedding.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.training.tiny import CLIP, MODEL, PROMPTS, random_clips, tiny_model
from training.models.video_encoder import VideoEncoder

LAYERS, FRAMES, SHARED, HEADS, PATCH = 3, 4, 2, 2, 16
WIDTH, OUT, NUM_PATCHES = 16, 16, 4
CONFIG = replace(
    MODEL,
    clip=replace(CLIP, vision_layers=LAYERS),
    num_frames=FRAMES,
    adapters=replace(PROMPTS, beta="none", num_global_prompts=SHARED),
)
Weights = dict[str, Tensor]


def vita_weights() -> Weights:
    """Draw random weights under Vita-CLIP's names."""
    generator = torch.Generator().manual_seed(3)
    sizes: dict[str, tuple[int, ...]] = {
        "cls_token": (WIDTH,), "pos_embed": (1 + NUM_PATCHES, WIDTH), "time_embed": (FRAMES, WIDTH),
        "patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH), "patch_embed.proj.bias": (WIDTH,),
        "global_prompts": (LAYERS, SHARED, WIDTH), "proj": (WIDTH, OUT),
    }  # fmt: skip
    linears: dict[str, tuple[int, ...]] = {"ln_pre": (), "ln_post": ()}
    for index in range(LAYERS):
        block = f"blocks.{index}."
        sizes[block + "local_prompts"] = (1, FRAMES, WIDTH)
        linears |= {f"{block}{name}": () for name in ("norm1", "norm2", "summary_ln")}
        linears |= {f"{block}{group}.{name}_proj": (WIDTH, WIDTH) for group in ("attn", "summary_attn_layer")
                    for name in ("q", "k", "v", "out")}  # fmt: skip
        linears |= {f"{block}cls_proj": (WIDTH, WIDTH), f"{block}mlp.fc1": (4 * WIDTH, WIDTH),
                    f"{block}mlp.fc2": (WIDTH, 4 * WIDTH)}  # fmt: skip
    for name, shape in linears.items():
        sizes |= {f"{name}.weight": shape or (WIDTH,), f"{name}.bias": (shape or (WIDTH,))[:1]}
    return {name: torch.randn(size, generator=generator) / math.sqrt(size[-1]) for name, size in sizes.items()}


def affine(weights: Weights, name: str, token: Tensor) -> Tensor:
    return weights[f"{name}.weight"] @ token + weights[f"{name}.bias"]


def norm(weights: Weights, name: str, token: Tensor) -> Tensor:
    centred = token - token.mean()
    return centred / (centred.square().mean() + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attend(weights: Weights, name: str, tokens: list[Tensor]) -> list[Tensor]:
    query, key, value = ([affine(weights, f"{name}.{each}_proj", token) for token in tokens] for each in "qkv")
    size, mixed = WIDTH // HEADS, []
    for own in query:
        heads = []
        for part in (slice(head * size, (head + 1) * size) for head in range(HEADS)):
            scores = torch.stack([own[part] @ other[part] for other in key]) / math.sqrt(size)
            shares = scores.exp() / scores.exp().sum()
            heads.append(sum((share * other[part] for share, other in zip(shares, value, strict=True)),
                             start=torch.zeros(size)))  # fmt: skip
        mixed.append(affine(weights, f"{name}.out_proj", torch.cat(heads)))
    return mixed


def mlp(weights: Weights, name: str, token: Tensor) -> Tensor:
    hidden = affine(weights, f"{name}.fc1", token)
    return affine(weights, f"{name}.fc2", hidden / (1 + (-1.702 * hidden).exp()))


def embed(weights: Weights, pixels: Tensor) -> list[list[Tensor]]:
    """Tokens of every frame of pixels [T, 3, H, W]: the class token, then patches row by row."""
    frames = []
    for t, picture in enumerate(pixels):
        tokens = [weights["cls_token"]]
        for row in range(0, picture.shape[1], PATCH):
            for column in range(0, picture.shape[2], PATCH):
                patch = picture[:, row : row + PATCH, column : column + PATCH]
                products = weights["patch_embed.proj.weight"] * patch
                tokens.append(products.sum((1, 2, 3)) + weights["patch_embed.proj.bias"])
        placed = [token + weights["pos_embed"][n] + weights["time_embed"][t] for n, token in enumerate(tokens)]
        frames.append([norm(weights, "ln_pre", token) for token in placed])
    return frames


def layer(weights: Weights, index: int, frames: list[list[Tensor]]) -> list[list[Tensor]]:
    """One block; a frame is its class token, its global prompts and its patches."""
    name = f"blocks.{index}"
    projected = [affine(weights, f"{name}.cls_proj", frame[0]) for frame in frames]
    summary = attend(weights, f"{name}.summary_attn_layer",
                     [norm(weights, f"{name}.summary_ln", each) for each in projected])  # fmt: skip
    local = [own + prompt for own, prompt in zip(projected, weights[f"{name}.local_prompts"][0], strict=True)]
    outputs = []
    for t, frame in enumerate(frames):
        kept = [frame[0], *weights["global_prompts"][index], *frame[1 + SHARED :]]
        sequence = [*kept, *local, summary[t] + projected[t]]
        mixed = attend(weights, f"{name}.attn", [norm(weights, f"{name}.norm1", token) for token in sequence])
        added = [a + b for a, b in zip(kept, mixed, strict=False)]
        outputs.append([token + mlp(weights, f"{name}.mlp", norm(weights, f"{name}.norm2", token)) for token in added])
    return outputs


def vita_features(weights: Weights, pixels: Tensor) -> Tensor:
    """Features [T, out] of one clip before they are averaged over frames."""
    frames = [[frame[0], *weights["global_prompts"][0], *frame[1:]] for frame in embed(weights, pixels)]
    for index in range(LAYERS):
        frames = layer(weights, index, frames)
    return torch.stack([norm(weights, "ln_post", frame[0]) @ weights["proj"] for frame in frames])


def as_ours(weights: Weights) -> Weights:
    """Rename Vita-CLIP's weights; what its patch embedding adds to every patch goes to the positions."""
    positions = weights["pos_embed"].clone()
    positions[1:] += weights["patch_embed.proj.bias"]
    ours = {"visual.class_embedding": weights["cls_token"], "visual.positional_embedding": positions,
            "visual.conv1.weight": weights["patch_embed.proj.weight"], "visual.proj": weights["proj"],
            "temporal_embedding": weights["time_embed"]}  # fmt: skip
    renamed = {f"visual.{name}": name for name in ("ln_pre", "ln_post")}
    for i in range(LAYERS):
        block, prompts, theirs = f"visual.transformer.resblocks.{i}.", f"prompts.{i}.", f"blocks.{i}."
        ours[prompts + "global_prompts"] = weights["global_prompts"][i]
        ours[prompts + "interchange_prompts"] = weights[theirs + "local_prompts"][0]
        renamed |= {block + "ln_1": theirs + "norm1", block + "ln_2": theirs + "norm2",
                    block + "mlp.c_fc": theirs + "mlp.fc1", block + "mlp.c_proj": theirs + "mlp.fc2",
                    prompts + "project_cls": theirs + "cls_proj", prompts + "norm": theirs + "summary_ln"}  # fmt: skip
        for own, group in ((block + "attn", "attn"), (prompts + "attention", "summary_attn_layer")):
            renamed[own + ".out_proj"] = f"{theirs}{group}.out_proj"
            for kind in ("weight", "bias"):
                parts = [weights[f"{theirs}{group}.{each}_proj.{kind}"] for each in "qkv"]
                ours[f"{own}.in_proj_{kind}"] = torch.cat(parts)
    return ours | {f"{own}.{kind}": weights[f"{theirs}.{kind}"]
                   for own, theirs in renamed.items() for kind in ("weight", "bias")}  # fmt: skip


def build_ours(weights: Weights) -> VideoEncoder:
    encoder = tiny_model(CONFIG).eval().video
    encoder.load_state_dict(as_ours(weights))
    return encoder


@torch.no_grad()
def test_temporal_prompts_alone_equal_a_vita_branch() -> None:
    weights, clips = vita_weights(), random_clips(2, config=CONFIG)
    encoder = build_ours(weights)
    pixels = ((clips.float() - encoder.mean) / encoder.std).permute(0, 1, 4, 2, 3)
    expected = torch.stack([vita_features(weights, clip) for clip in pixels])
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(encoder(clips), expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("name", ["patch_embed.proj.bias", "time_embed", "global_prompts", "blocks.2.local_prompts"])
def test_every_part_of_the_vita_branch_matters(name: str) -> None:
    weights, clips = vita_weights(), random_clips(1, config=CONFIG)
    without = weights | {name: torch.zeros_like(weights[name])}
    assert (build_ours(weights)(clips) - build_ours(without)(clips)).abs().max() > 1e-3
