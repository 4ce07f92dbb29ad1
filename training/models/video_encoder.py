"""The CLIP image tower over the frames of a clip, with or without prompts in its layers."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from training.models.attention import self_attention
from training.models.clip import ResidualAttentionBlock, VisionTransformer
from training.models.deep_prompts import DeepPrompts
from training.models.layer_call import call_layer
from training.models.temporal_prompts import TemporalPrompts


class VideoEncoder(nn.Module):
    """Encode clips to one unit-length feature a frame (Deng et al. 2024, Eq. 1-3, 13 and 14), or to one a clip.

    The tower is open_clip's, whose modules are shared and keep their names under ``visual``. Without prompts this is
    CLIP applied to every frame, but for the temporal embedding. Where frames are pooled, their embeddings are averaged
    before they are brought to unit length (Rasheed et al. 2023, section 3.1).
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        visual: VisionTransformer,
        *,
        num_frames: int,
        prompts: list[TemporalPrompts] | None,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        temporal_embedding: bool = False,
        vl_prompts: DeepPrompts | None = None,
        pools_frames: bool = False,
    ) -> None:
        """Wrap an open_clip image tower.

        ``prompts`` has one entry a layer, or is None for a tower without them; ``temporal_embedding`` adds e_temporal
        of Eq. 1, which starts at zero; ``vl_prompts`` stand behind the patches of every frame.

        Raises:
            ValueError: the number of prompts is not the number of layers.
        """
        super().__init__()
        self.visual = visual
        num_layers = len(visual.transformer.resblocks)
        if prompts is not None and len(prompts) != num_layers:
            raise ValueError(f"{len(prompts)} layers of prompts were given for a tower of {num_layers} layers")
        self.prompts = None if prompts is None else nn.ModuleList(prompts)
        width = visual.class_embedding.shape[0]
        self.temporal_embedding = nn.Parameter(torch.zeros(num_frames, width)) if temporal_embedding else None
        self.vl_prompts = vl_prompts
        self.num_frames = num_frames
        self.pools_frames = pools_frames
        # Class token and patches of a frame; read here, because a tracer takes shapes for tensors.
        self._num_own_tokens: int = visual.positional_embedding.shape[0]
        self.register_buffer("mean", torch.tensor(mean) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(std) * 255, persistent=False)

    def forward(self, frames: UInt8[Tensor, "N T H W 3"]) -> Float[Tensor, "N K D"]:
        """Encode upright RGB frames of the tower's input size; K is T, or 1 where frames are pooled."""
        tokens = self._embed(frames)
        for index, block in enumerate(self.visual.transformer.resblocks):
            if self.vl_prompts is not None:
                tokens = self.vl_prompts.renew(tokens, position=self._num_own_tokens, layer=index)
            prompts = None if self.prompts is None else self.prompts[index](tokens[:, :, 0])
            tokens = apply_layer(block, tokens, prompts=prompts)
        features = self.visual.ln_post(tokens[:, :, 0]) @ self.visual.proj
        if self.pools_frames:
            features = features.mean(dim=1, keepdim=True)
        return functional.normalize(features, dim=-1)

    def _embed(self, frames: UInt8[Tensor, "N T H W 3"]) -> Float[Tensor, "N T tokens D"]:
        """Patch, class, position and temporal embeddings (Eq. 1), then CLIP's first norm."""
        visual, num_frames = self.visual, frames.shape[1]
        pixels = ((frames.flatten(0, 1).float() - self.mean) / self.std).permute(0, 3, 1, 2)
        patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
        cls_tokens = visual.class_embedding.expand(patches.shape[0], 1, -1)
        tokens = torch.cat([cls_tokens, patches], dim=1) + visual.positional_embedding
        clips: Tensor = tokens.unflatten(0, (-1, num_frames))
        if self.temporal_embedding is not None:
            clips = clips + self.temporal_embedding[:, None]
        if self.vl_prompts is not None:
            clips = self.vl_prompts.insert(clips, position=self._num_own_tokens)
        normalised: Tensor = visual.ln_pre(clips)
        return normalised


def apply_layer(
    block: ResidualAttentionBlock, tokens: Float[Tensor, "N T tokens D"], *, prompts: Float[Tensor, "N T P D"] | None
) -> Float[Tensor, "N T tokens D"]:
    """Attend over tokens and prompts, drop the prompts' outputs (Eq. 13), apply the MLP (Eq. 14)."""
    return call_layer(_attend_and_transform, block, tokens, prompts)


def _attend_and_transform(
    block: ResidualAttentionBlock, tokens: Float[Tensor, "N T tokens D"], prompts: Float[Tensor, "N T P D"] | None
) -> Float[Tensor, "N T tokens D"]:
    joined = tokens if prompts is None else torch.cat([tokens, prompts], dim=2)
    sequence = joined.flatten(0, 1)
    attended = sequence + self_attention(block.attn, block.ln_1(sequence))
    kept = attended.unflatten(0, tokens.shape[:2])[:, :, : tokens.shape[2]]
    output: Tensor = kept + block.mlp(block.ln_2(kept))
    return output
