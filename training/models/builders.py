"""From a config to a model with random weights; loading weights is the importers' and the checkpoint's work."""

from copy import copy
from dataclasses import replace

from training.config.model import ModelConfig, TemporalPromptConfig, VLPromptConfig
from training.models.chinese_text import ChineseTextTower
from training.models.clip import CLIP, EnglishTextTower, VisionTransformer, build_clip, clip_config
from training.models.deep_prompts import DeepPrompts
from training.models.freezing import freeze_towers
from training.models.reparameterization.encoder import build_reparameterization
from training.models.tds.encoder import SideVideoEncoder
from training.models.temporal_prompts import TemporalPrompts
from training.models.video_clip import Tokenizers, VideoCLIP
from training.models.video_encoder import VideoEncoder


def build_model(config: ModelConfig, *, tokenizers: Tokenizers | None = None) -> VideoCLIP:
    """Build a model with random weights, in which exactly what its config asks for is trainable.

    Raises:
        ValueError: the config does not fit its towers.
    """
    size = clip_config(config.clip) if isinstance(config.clip, str) else config.clip
    for adapters in (config.vl_prompts, config.side):
        if adapters is not None:
            adapters.check_fit(size)
    clip = build_clip(size)
    video = build_video_encoder(clip, config)
    chinese = None if config.chinese is None or config.supervision == "english" else ChineseTextTower(config.chinese)
    if chinese is None and tokenizers is not None:
        tokenizers = replace(tokenizers, chinese=None)
    prompts = None if config.vl_prompts is None else _build_text_prompts(clip, config.vl_prompts)
    model = VideoCLIP(
        config,
        video=video,
        english=EnglishTextTower(clip, prompts=prompts),
        chinese=chinese,
        tokenizers=None if tokenizers is None else _leave_room(tokenizers, config=config),
    )
    fine_tunes = config.method == "vificlip"
    freeze_towers(
        model,
        tune_image_tower=config.tune_image_tower or (fine_tunes and config.mode != "text"),
        tune_text_tower=fine_tunes and config.mode != "image",
    )
    return model


def build_video_encoder(clip: CLIP, config: ModelConfig) -> VideoEncoder:
    """Put the config's prompts into a CLIP's image tower, or its side network beside it.

    Raises:
        ValueError: the config cuts crops of another size than the tower's, or its side network does not fit the tower.
    """
    (tower_size, _), crop_size = clip.visual.image_size, config.preprocessing.input_size
    if crop_size != tower_size:
        raise ValueError(
            f"input_size is {crop_size} pixels, but the image tower takes crops of {tower_size}; set it so"
        )
    if config.side is not None:
        return SideVideoEncoder(
            clip.visual,
            config=config.side,
            num_frames=config.num_frames,
            mean=config.preprocessing.mean,
            std=config.preprocessing.std,
        )
    prompts = None
    if config.temporal_prompts is not None:
        num_layers = len(clip.visual.transformer.resblocks)
        prompts = [_build_prompts(clip.visual, config.temporal_prompts, config.num_frames) for _ in range(num_layers)]
    return VideoEncoder(
        clip.visual,
        num_frames=config.num_frames,
        prompts=prompts,
        temporal_embedding=config.method == "dual_semantic",
        mean=config.preprocessing.mean,
        std=config.preprocessing.std,
        vl_prompts=None if config.vl_prompts is None else _build_image_prompts(clip, config.vl_prompts),
        pools_frames=config.is_fine_tuned and config.fusion == "embedding",
    )


def _build_image_prompts(clip: CLIP, config: VLPromptConfig) -> DeepPrompts:
    width = clip.visual.class_embedding.shape[0]
    return DeepPrompts(depth=config.depth, num_tokens=config.num_vision_tokens, width=width)


def _build_text_prompts(clip: CLIP, config: VLPromptConfig) -> DeepPrompts:
    width = clip.token_embedding.weight.shape[1]
    return DeepPrompts(depth=config.depth, num_tokens=config.num_text_tokens, width=width)


def _leave_room(tokenizers: Tokenizers, *, config: ModelConfig) -> Tokenizers:
    """Cut texts early enough that the prompts find positions."""
    if config.vl_prompts is None:
        return tokenizers
    english = copy(tokenizers.english)
    english.max_length -= config.vl_prompts.num_text_tokens
    return replace(tokenizers, english=english)


def _build_prompts(visual: VisionTransformer, config: TemporalPromptConfig, num_frames: int) -> TemporalPrompts:
    width = visual.class_embedding.shape[0]
    return TemporalPrompts(
        width=width,
        num_heads=visual.transformer.resblocks[0].attn.num_heads,
        num_frames=num_frames,
        num_global_prompts=config.num_global_prompts,
        global_prompts=config.global_prompts,
        projection_init=config.projection_init,
        reparameterization=build_reparameterization(
            config, width=width, num_tokens=1 + config.num_global_prompts + num_frames
        ),
    )
