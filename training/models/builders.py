"""From a config to a model with random weights; loading weights is the importers' and the checkpoint's work.

A method's builder turns its config into its modules; ``_add`` chooses it by the config's type.
"""

from copy import copy
from dataclasses import dataclass, replace
from typing import assert_never

from training.config.adapters import (
    DeepPromptConfig,
    FineTuningConfig,
    NoAdapters,
    SideNetworkConfig,
    TemporalEmbeddingConfig,
    TemporalPromptConfig,
)
from training.config.model import ModelConfig
from training.models.chinese_text import ChineseTextTower
from training.models.clip import CLIP, EnglishTextTower, VisionTransformer, build_clip, clip_config
from training.models.deep_prompts import DeepPrompts
from training.models.freezing import freeze_towers
from training.models.reparameterization.encoder import build_reparameterization
from training.models.tds.encoder import SideVideoEncoder
from training.models.temporal_prompts import TemporalPrompts
from training.models.video_clip import Tokenizers, VideoCLIP
from training.models.video_encoder import VideoEncoder


@dataclass(frozen=True)
class _Adapted:
    """A CLIP's image tower with what a method adds, and the prompts of its English tower where it has any."""

    video: VideoEncoder
    text_prompts: DeepPrompts | None = None


def build_model(config: ModelConfig, *, tokenizers: Tokenizers | None = None) -> VideoCLIP:
    """Build a model with random weights, in which exactly what its config asks for is trainable.

    Raises:
        ValueError: the config does not fit its towers.
    """
    size = clip_config(config.clip) if isinstance(config.clip, str) else config.clip
    config.adapters.check_fit(size)
    clip = build_clip(size)
    adapted = _add(clip, config)
    chinese = None if config.chinese is None or config.supervision == "english" else ChineseTextTower(config.chinese)
    if chinese is None and tokenizers is not None:
        tokenizers = replace(tokenizers, chinese=None)
    model = VideoCLIP(
        config,
        video=adapted.video,
        english=EnglishTextTower(clip, prompts=adapted.text_prompts),
        chinese=chinese,
        tokenizers=None if tokenizers is None else _leave_room(tokenizers, num_tokens=config.adapters.num_text_tokens),
    )
    freeze_towers(
        model,
        tune_image_tower=config.adapters.tune_image_tower,
        tune_text_tower=config.adapters.tune_text_tower,
    )
    return model


def _add(clip: CLIP, config: ModelConfig) -> _Adapted:
    """Build what a method adds to a CLIP.

    Raises:
        ValueError: the config cuts crops of another size than the tower's, or its side network does not fit the tower.
    """
    (tower_size, _), crop_size = clip.visual.image_size, config.preprocessing.input_size
    if crop_size != tower_size:
        raise ValueError(
            f"input_size is {crop_size} pixels, but the image tower takes crops of {tower_size}; set it so"
        )
    match config.adapters:
        case NoAdapters():
            return _Adapted(_encoder(clip, config))
        case TemporalEmbeddingConfig():
            return _Adapted(_encoder(clip, config, temporal_embedding=True))
        case TemporalPromptConfig() as adapters:
            return _add_temporal_prompts(clip, config, adapters)
        case FineTuningConfig() as adapters:
            return _Adapted(_encoder(clip, config, pools_frames=adapters.pools_frames))
        case DeepPromptConfig() as adapters:
            return _add_deep_prompts(clip, config, adapters)
        case SideNetworkConfig() as adapters:
            return _add_side_network(clip, config, adapters)
        case unknown:
            assert_never(unknown)


def _encoder(
    clip: CLIP,
    config: ModelConfig,
    *,
    prompts: list[TemporalPrompts] | None = None,
    temporal_embedding: bool = False,
    vl_prompts: DeepPrompts | None = None,
    pools_frames: bool = False,
) -> VideoEncoder:
    return VideoEncoder(
        clip.visual,
        num_frames=config.num_frames,
        prompts=prompts,
        temporal_embedding=temporal_embedding,
        mean=config.preprocessing.mean,
        std=config.preprocessing.std,
        vl_prompts=vl_prompts,
        pools_frames=pools_frames,
    )


def _add_temporal_prompts(clip: CLIP, config: ModelConfig, adapters: TemporalPromptConfig) -> _Adapted:
    num_layers = len(clip.visual.transformer.resblocks)
    prompts = [_build_prompts(clip.visual, adapters, num_frames=config.num_frames) for _ in range(num_layers)]
    return _Adapted(_encoder(clip, config, prompts=prompts, temporal_embedding=True))


def _build_prompts(visual: VisionTransformer, adapters: TemporalPromptConfig, *, num_frames: int) -> TemporalPrompts:
    width = visual.class_embedding.shape[0]
    return TemporalPrompts(
        width=width,
        num_heads=visual.transformer.resblocks[0].attn.num_heads,
        num_frames=num_frames,
        num_global_prompts=adapters.num_global_prompts,
        global_prompts=adapters.global_prompts,
        projection_init=adapters.projection_init,
        reparameterization=build_reparameterization(
            adapters, width=width, num_tokens=1 + adapters.num_global_prompts + num_frames
        ),
    )


def _add_deep_prompts(clip: CLIP, config: ModelConfig, adapters: DeepPromptConfig) -> _Adapted:
    image = DeepPrompts(
        depth=adapters.depth, num_tokens=adapters.num_vision_tokens, width=clip.visual.class_embedding.shape[0]
    )
    text = DeepPrompts(
        depth=adapters.depth, num_tokens=adapters.num_text_tokens, width=clip.token_embedding.weight.shape[1]
    )
    return _Adapted(_encoder(clip, config, vl_prompts=image, pools_frames=adapters.pools_frames), text)


def _add_side_network(clip: CLIP, config: ModelConfig, adapters: SideNetworkConfig) -> _Adapted:
    encoder = SideVideoEncoder(
        clip.visual,
        config=adapters,
        num_frames=config.num_frames,
        mean=config.preprocessing.mean,
        std=config.preprocessing.std,
    )
    return _Adapted(encoder)


def _leave_room(tokenizers: Tokenizers, *, num_tokens: int) -> Tokenizers:
    """Cut English texts early enough that so many prompts find positions."""
    english = copy(tokenizers.english)
    english.max_length -= num_tokens
    return replace(tokenizers, english=english)
