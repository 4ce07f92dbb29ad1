"""From a config to a model with random weights; loading weights is the importers' and the checkpoint's work."""

from torch import nn

from training.config import ModelConfig, TemporalPromptConfig
from training.models.chinese_text import ChineseTextTower
from training.models.clip import CLIP, EnglishTextTower, VisionTransformer, build_clip
from training.models.freezing import freeze_towers
from training.models.reparameterization import Reparameterization
from training.models.temporal_prompts import TemporalPrompts
from training.models.video_clip import Tokenizers, VideoCLIP
from training.models.video_encoder import VideoEncoder


def build_model(config: ModelConfig, *, tokenizers: Tokenizers | None = None) -> VideoCLIP:
    """Build a model with random weights, towers frozen and adapters trainable."""
    clip = build_clip(config.clip)
    model = VideoCLIP(
        config,
        video=build_video_encoder(clip, config),
        english=EnglishTextTower(clip),
        chinese=None if config.chinese is None else ChineseTextTower(config.chinese),
        tokenizers=tokenizers,
    )
    freeze_towers(model)
    return model


def build_video_encoder(clip: CLIP, config: ModelConfig) -> VideoEncoder:
    """Put the config's temporal prompts into a CLIP's image tower."""
    prompts = None
    if config.temporal_prompts is not None:
        num_layers = len(clip.visual.transformer.resblocks)
        prompts = [_build_prompts(clip.visual, config.temporal_prompts, config.num_frames) for _ in range(num_layers)]
    return VideoEncoder(
        clip.visual,
        num_frames=config.num_frames,
        prompts=prompts,
        mean=config.preprocessing.mean,
        std=config.preprocessing.std,
    )


def _build_prompts(visual: VisionTransformer, config: TemporalPromptConfig, num_frames: int) -> TemporalPrompts:
    width = visual.class_embedding.shape[0]
    return TemporalPrompts(
        width=width,
        num_heads=visual.transformer.resblocks[0].attn.num_heads,
        num_frames=num_frames,
        num_global_prompts=config.num_global_prompts,
        projection_init=config.projection_init,
        reparameterization=_build_beta(config, width=width, num_frames=num_frames),
    )


def _build_beta(config: TemporalPromptConfig, *, width: int, num_frames: int) -> nn.Module:
    if config.beta == "none":
        return nn.Identity()
    return Reparameterization(
        width=width,
        inner_width=config.beta_width,
        num_tokens=1 + config.num_global_prompts + num_frames,
        zero_init=config.zero_init_beta,
    )
