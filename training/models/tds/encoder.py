"""The video encoder of ``tds``: a CLIP image tower without gradients, and beside it the network that trains."""

from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from training.config.adapters import SideNetworkConfig
from training.models.clip import VisionTransformer
from training.models.tds.heads import CosineHead, LinearHead
from training.models.tds.side_network import SideNetwork
from training.models.video_encoder import VideoEncoder, apply_layer

# Clips, segments, local frames, height, width and colours.
_NUM_AXES = 6


class SideVideoEncoder(VideoEncoder):
    """Encode clips of segments to what the head of a side network gives: one feature a clip, or the logits of classes.

    The tower sees the centre frame of every segment. Unless some of it trains, it runs without gradients and none of
    its activations outlives its layer, but for the tokens that the side network reads. With ``fuse_frozen`` a second
    feature follows, that of the tower alone with its frames pooled: the mean of both cosines is the fused score.
    """

    def __init__(
        self,
        visual: VisionTransformer,
        *,
        config: SideNetworkConfig,
        num_frames: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        """Wrap an open_clip image tower and build the side network beside it.

        Raises:
            ValueError: the patches of the tower do not form a square.
        """
        super().__init__(visual, num_frames=num_frames, prompts=None, mean=mean, std=std)
        rows, columns = visual.grid_size
        if rows != columns:
            raise ValueError(
                f"the image tower cuts frames into {rows} x {columns} patches; a side network takes a square grid, so "
                "give a tower for square frames"
            )
        self.side = SideNetwork(
            config,
            tower_width=visual.class_embedding.shape[0],
            num_layers=len(visual.transformer.resblocks),
            patch_size=visual.patch_size[0],
            grid=rows,
        )
        self.fuses_frozen = config.fuse_frozen
        self.head: LinearHead | CosineHead
        if config.head == "linear":
            self.head = LinearHead(config.side_width, num_classes=config.require_num_classes())
        else:
            self.head = CosineHead(config.side_width, embed_dim=visual.proj.shape[1])

    def forward(self, frames: UInt8[Tensor, "N T *n H W 3"]) -> Float[Tensor, "N K D"]:
        """Encode upright RGB frames of the tower's input size; segments of one frame may lack their axis.

        K is 1, or 2 with the tower's own feature. D is the joint space's, or for logits the number of classes.
        """
        segments = frames if frames.ndim == _NUM_AXES else frames[:, :, None]
        num_local_frames = segments.shape[2]
        patches = self.side.stem((segments.float() - self.mean) / self.std)
        with self._without_gradients():
            tokens = self._embed(segments[:, :, num_local_frames // 2])
        for layer, block in enumerate(self.visual.transformer.resblocks):
            with self._without_gradients():
                tokens = apply_layer(block, tokens, prompts=None)
            patches = self.side.advance(patches, tokens, layer=layer)
        encoded: Tensor = self.head(self.side.pool(patches))
        return torch.cat([encoded, self._pool_frozen(tokens)], dim=1) if self.fuses_frozen else encoded

    def _pool_frozen(self, tokens: Float[Tensor, "N T tokens W"]) -> Float[Tensor, "N 1 D"]:
        with self._without_gradients():
            features = self.visual.ln_post(tokens[:, :, 0]) @ self.visual.proj
            return functional.normalize(features.mean(dim=1, keepdim=True), dim=-1)

    def _without_gradients(self) -> AbstractContextManager[object]:
        """Turn gradients off around a frozen tower; nothing is done where they are off, so that graphs stay plain."""
        trains = any(parameter.requires_grad for parameter in self.visual.parameters())
        return torch.no_grad() if torch.is_grad_enabled() and not trains else nullcontext()
