"""Side networks as TDS-CLIP's and Side4Video's code writes them, and a forward pass from their own names."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from training.config.model import CLIP_MEAN, CLIP_STD
from training.config.towers import ClipConfig
from training.models.clip import build_clip

State = dict[str, Tensor]
Sizes = dict[str, tuple[int, ...]]
_SIDE = "visual.transformer.side_transformer."


def draw_side(clip: State, *, config: ClipConfig, width: int, num_classes: int, is_tds: bool) -> State:
    """Draw a side network beside towers, whose image half lies in the file up to its last layer."""
    patch, grid = config.patch_size_pixels, config.image_size_pixels // config.patch_size_pixels
    sizes: dict[str, tuple[int, ...]] = {
        "visual.side_conv1.weight": (width, 3, 3, patch, patch), "visual.side_conv1.bias": (width,),
        "visual.transformer.side_spatial_position_embeddings": (grid**2, width),
        "fc.weight": (num_classes, width), "fc.bias": (num_classes,),
    }  # fmt: skip
    norms = {"visual.side_pre_bn3d": width, "visual.side_post_bn": width}
    if is_tds:
        sizes |= {"visual.side_conv1_c5.weight": (width, 12, 3, patch, patch), "visual.side_conv1_c5.bias": (width,)}
        norms["visual.side_pre_bn3d_c5"] = width
    for layer in range(config.vision_layers):
        sizes |= _tap_sizes(layer, tower=config.vision_width, width=width) | _block_sizes(layer, width=width)
        norms |= {f"{_SIDE}{layer}.bn_1": width, f"{_SIDE}{layer}.bn_2": width}
        if is_tds:
            mse = f"{_SIDE}{layer}.mse."
            sizes |= {
                f"{mse}conv1.weight": (width // 16, width, 1, 1),
                f"{mse}conv2.weight": (width, width // 16, 1, 1),
            }
            norms |= {f"{mse}bn1": width // 16, f"{mse}bn2": width}
    state = {name: torch.randn(size) / max(1, size[-1]) ** 0.5 for name, size in sizes.items()}
    for name, channels in norms.items():
        state |= {f"{name}.weight": torch.rand(channels) + 0.5, f"{name}.bias": torch.randn(channels),
                  f"{name}.running_mean": torch.randn(channels), f"{name}.running_var": torch.rand(channels) + 0.5,
                  f"{name}.num_batches_tracked": torch.tensor(7)}  # fmt: skip
    tower = {n: t for n, t in clip.items() if n.startswith("visual.") and "ln_post" not in n and n != "visual.proj"}
    return tower | state


def _tap_sizes(layer: int, *, tower: int, width: int) -> Sizes:
    norm, linear = f"visual.transformer.side_lns.{layer}.", f"visual.transformer.side_linears.{layer}."
    return {f"{norm}weight": (tower,), f"{norm}bias": (tower,),
            f"{linear}weight": (width, tower), f"{linear}bias": (width,)}  # fmt: skip


def _block_sizes(layer: int, *, width: int) -> Sizes:
    weights: dict[str, tuple[int, ...]] = {
        "conv.0": (width, width, 1, 1, 1), "conv.1": (width, 1, 3, 1, 1), "conv.2": (width, width, 1, 1, 1),
        "ln_1": (width,), "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width), "attn.out_proj": (width, width),
    }  # fmt: skip
    block = f"{_SIDE}{layer}."
    sizes = {f"{block}{name}.{kind}": size if kind == "weight" else size[:1]
             for name, size in weights.items() for kind in ("weight", "bias")}  # fmt: skip
    return sizes | {f"{block}attn.in_proj_weight": (3 * width, width), f"{block}attn.in_proj_bias": (3 * width,)}


class SideReference:
    """The forward pass of a side network in evaluation; tokens are the first axis, as in the released code."""

    def __init__(self, state: State, clip: State, *, config: ClipConfig, padding: int, num_heads: int) -> None:
        self.state, self.padding, self.num_heads = state, padding, num_heads
        self.tower = build_clip(config).eval()
        self.tower.load_state_dict(clip)

    @torch.no_grad()
    def __call__(self, frames: UInt8[Tensor, "N T *n H W 3"]) -> Float[Tensor, "N K"]:
        """Return the logits of classes for segments."""
        segments = frames if frames.ndim == 6 else frames[:, :, None]
        pixels = ((segments / 255 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)).movedim(-1, 3)
        num_clips, num_segments = pixels.shape[:2]
        centre = pixels[:, :, pixels.shape[2] // 2]
        volume = self.stem(centre.transpose(1, 2), "side_conv1", "side_pre_bn3d")
        if pixels.shape[2] > 1:
            differences = [pixels[:, :, index + 1] - pixels[:, :, index] for index in range(pixels.shape[2] - 1)]
            stacked = torch.cat(differences, dim=2).transpose(1, 2)
            volume = volume + 0.5 * self.stem(stacked, "side_conv1_c5", "side_pre_bn3d_c5")
        visual, side = self.tower.visual, volume.flatten(3).permute(3, 0, 2, 1).flatten(1, 2)
        patches = visual.conv1(centre.flatten(0, 1)).flatten(2).transpose(1, 2)
        tokens = torch.cat([visual.class_embedding.expand(len(patches), 1, -1), patches], dim=1)
        tokens = visual.ln_pre(tokens + visual.positional_embedding)
        for layer, block in enumerate(visual.transformer.resblocks):
            tokens = block(tokens)
            tap = "visual.transformer.side_{}." + str(layer)
            tapped = self.linear(self.norm(tokens, tap.format("lns")), tap.format("linears")).transpose(0, 1)
            side = self.block(0.5 * side + 0.5 * tapped[1:], tapped[:1], f"{_SIDE}{layer}.", num_clips, num_segments)
        pooled = self.batch_norm(self.as_volume(side, num_clips), "visual.side_post_bn").mean(dim=(2, 3, 4))
        return self.linear(pooled, "fc")

    def stem(self, volume: Tensor, conv: str, norm: str) -> Tensor:
        weight, bias = (self.state[f"visual.{conv}.{kind}"] for kind in ("weight", "bias"))
        stride, padding = (1, *weight.shape[3:]), (1, self.padding, self.padding)
        return self.batch_norm(functional.conv3d(volume, weight, bias, stride, padding), f"visual.{norm}")

    def block(self, side: Tensor, cls: Tensor, name: str, num_clips: int, num_segments: int) -> Tensor:
        volume = self.batch_norm(self.as_volume(side, num_clips), f"{name}bn_1")
        for index, groups in enumerate((1, volume.shape[1], 1)):
            padding = (1 if index == 1 else 0, 0, 0)
            weight, bias = (self.state[f"{name}conv.{index}.{kind}"] for kind in ("weight", "bias"))
            volume = functional.conv3d(volume, weight, bias, padding=padding, groups=groups)
        if f"{name}mse.conv1.weight" in self.state:
            volume = volume + volume * self.gate(volume, f"{name}mse.")
        side = side + self.as_tokens(volume)
        shifted = torch.zeros_like(cls).unflatten(1, (num_clips, num_segments))
        own, half = cls.unflatten(1, (num_clips, num_segments)), cls.shape[-1] // 2
        shifted[:, :, :-1, :half], shifted[:, :, 1:, half:] = own[:, :, 1:, :half], own[:, :, :-1, half:]
        placed = side + self.state["visual.transformer.side_spatial_position_embeddings"][:, None]
        tokens = self.norm(torch.cat([shifted.flatten(1, 2), placed]), f"{name}ln_1")
        side = side + self.attend(tokens[1:], tokens, f"{name}attn.")
        volume = self.batch_norm(self.as_volume(side, num_clips), f"{name}bn_2")
        hidden = functional.gelu(self.linear(self.as_tokens(volume), f"{name}mlp.fc1"))
        return side + self.linear(hidden, f"{name}mlp.fc2")

    def gate(self, volume: Tensor, name: str) -> Tensor:
        frames = volume.transpose(1, 2).flatten(0, 1)
        reduced = functional.conv2d(frames, self.state[f"{name}conv1.weight"])
        reduced = self.batch_norm(reduced, f"{name}bn1").unflatten(0, (len(volume), -1)).transpose(1, 2)
        differences = reduced - functional.max_pool3d(reduced, (3, 1, 1), 1, (1, 0, 0))
        mixed = 0.5 * differences + 0.5 * differences.mean(dim=1, keepdim=True)
        widened = functional.conv2d(mixed.transpose(1, 2).flatten(0, 1), self.state[f"{name}conv2.weight"])
        opening = self.batch_norm(widened, f"{name}bn2").sigmoid() - 0.5
        return opening.unflatten(0, (len(volume), -1)).transpose(1, 2)

    def attend(self, query: Tensor, key: Tensor, name: str) -> Tensor:
        mixed, _ = functional.multi_head_attention_forward(
            query, key, key, query.shape[-1], self.num_heads,
            self.state[f"{name}in_proj_weight"], self.state[f"{name}in_proj_bias"], None, None, False, 0.0,
            self.state[f"{name}out_proj.weight"], self.state[f"{name}out_proj.bias"], training=False,
            need_weights=False,
        )  # fmt: skip
        return mixed

    def as_volume(self, tokens: Tensor, num_clips: int) -> Tensor:
        grid = round(len(tokens) ** 0.5)
        return tokens.unflatten(1, (num_clips, -1)).permute(1, 3, 2, 0).unflatten(3, (grid, grid))

    def as_tokens(self, volume: Tensor) -> Tensor:
        return volume.flatten(3).permute(3, 0, 2, 1).flatten(1, 2)

    def linear(self, tokens: Tensor, name: str) -> Tensor:
        return functional.linear(tokens, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def norm(self, tokens: Tensor, name: str) -> Tensor:
        weight = self.state[f"{name}.weight"]
        return functional.layer_norm(tokens, weight.shape, weight, self.state[f"{name}.bias"])

    def batch_norm(self, volume: Tensor, name: str) -> Tensor:
        mean, variance, weight, bias = (
            self.state[f"{name}.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(volume, mean, variance, weight, bias)
