"""A miniature of everything a run needs: towers with tokenizers on disk, a few numbered videos, and a short recipe."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from service.contract.manifest import Preprocessing
from service.contract.tokenizer import CLS, SEP, UNKNOWN, ChineseTokenizer, EnglishTokenizer
from tests.videos import Encoding, write_numbered_video
from training.config.adapters import TemporalPromptConfig
from training.config.fitting import AugmentConfig, FitConfig
from training.config.model import CLIP_MEAN, CLIP_STD, BackboneConfig, ModelConfig, Recipe
from training.config.towers import ChineseTextConfig, ClipConfig
from training.data.annotations import VideoData
from training.fitting.fit import FitResources, fit
from training.models.builders import build_model
from training.models.chinese_text import ChineseTextTower
from training.models.clip import build_clip
from training.models.tokenizers import build_chinese_tokenizer, build_english_tokenizer
from training.models.video_clip import Tokenizers, VideoCLIP
from training.runs.backbone import read_backbone, write_backbone

LABELS = ("circle moving left", "圆形向左移动"), ("circle moving right", "圆形向右移动"), ("waving", "挥手")
VOCABULARY = ("[PAD]", UNKNOWN, CLS, SEP, *"圆形向左右移动挥手")
CLIP = ClipConfig(
    embed_dim=16,
    quick_gelu=True,
    image_size_pixels=32,
    patch_size_pixels=16,
    vision_width=16,
    vision_layers=2,
    vision_heads=2,
    vocab_size=514,
    context_length=32,
    text_width=16,
    text_layers=1,
    text_heads=2,
)
CHINESE = ChineseTextConfig(
    embed_dim=16, vocab_size=len(VOCABULARY), width=16, num_layers=1, num_heads=2, mlp_width=32, num_positions=12
)
PREPROCESSING = Preprocessing(
    input_size=32,
    resize_rule="short_side",
    resize_size=32,
    interpolation="bicubic",
    crop_rule="centre",
    mean=CLIP_MEAN,
    std=CLIP_STD,
)
PROMPTS = TemporalPromptConfig(num_global_prompts=2, beta_width=4)
MODEL = ModelConfig(clip=CLIP, chinese=CHINESE, preprocessing=PREPROCESSING, num_frames=4, adapters=PROMPTS)
RECIPE = Recipe(
    name="tiny",
    model=MODEL,
    fit=FitConfig(num_epochs=3, num_warmup_epochs=1.0, batch_size=4, checkpoint_every_steps=2, log_every_steps=1),
    augment=AugmentConfig(crop_area=(0.5, 1.0)),
)


def tiny_model(config: ModelConfig = MODEL) -> VideoCLIP:
    """Build a model with the same random weights every time, without tokenizers."""
    torch.manual_seed(0)
    return build_model(config)


def tiny_tokenizers() -> Tokenizers:
    """Build the tokenizers of the tiny text towers."""
    return Tokenizers(
        EnglishTokenizer(build_english_tokenizer([]), max_length=CLIP.context_length),
        ChineseTokenizer(build_chinese_tokenizer(VOCABULARY), max_length=CHINESE.num_positions),
    )


def tiny_prompts(**changes: Any) -> ModelConfig:  # noqa: ANN401
    """Change the temporal prompts of the tiny model's config."""
    return replace(MODEL, adapters=replace(PROMPTS, **changes))


def random_clips(num_clips: int, *, config: ModelConfig = MODEL) -> torch.Tensor:
    """Draw the same noise every time."""
    size = config.preprocessing.input_size
    generator = torch.Generator().manual_seed(1)
    shape = (num_clips, config.num_frames, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def write_tiny_backbone(directory: Path, *, chinese: bool = True) -> Path:
    """Write towers with random weights, the same every time."""
    torch.manual_seed(0)
    write_backbone(
        directory,
        config=BackboneConfig(
            clip=CLIP, chinese=CHINESE if chinese else None, preprocessing=PREPROCESSING, max_length_zh=12
        ),
        clip=build_clip(CLIP).state_dict(),
        chinese=ChineseTextTower(CHINESE).state_dict() if chinese else None,
        tokenizer_en=build_english_tokenizer([]),
        tokenizer_zh=build_chinese_tokenizer(VOCABULARY) if chinese else None,
    )
    return directory


def bilingual_model(directory: Path, *, chinese: bool = True) -> VideoCLIP:
    """Build a model with tokenizers on towers written to a new folder."""
    config = MODEL if chinese else replace(MODEL, chinese=None)
    return read_backbone(write_tiny_backbone(directory, chinese=chinese)).build(config)


def write_tiny_data(directory: Path, *, num_train: int = 9) -> Path:
    """Write numbered videos of 6 frames: some to train on, and one a label for each of val, test and novel."""
    directory.mkdir()
    splits = ["train"] * num_train + [split for split in ("val", "test", "novel") for _ in LABELS]
    rows = [f"{number}.mp4,{number % len(LABELS)},{split}" for number, split in enumerate(splits)]
    for number in range(len(rows)):
        write_numbered_video(directory / f"{number}.mp4", num_frames=6, encoding=Encoding(size=(48, 32)))
    labels = [f"{number},{en},{zh}" for number, (en, zh) in enumerate(LABELS)]
    (directory / "labels.csv").write_text("\n".join(["id,en,zh", *labels]) + "\n", encoding="utf-8")
    (directory / "annotations.csv").write_text("\n".join(["video,label_id,split", *rows]) + "\n", encoding="utf-8")
    return directory


def fit_tiny_run(data: VideoData, *, folder: Path, backbone: Path, cache: Path, num_shots: int | None = None) -> Path:
    """Fit the tiny recipe for one epoch."""
    fit(
        replace(RECIPE, fit=replace(RECIPE.fit, num_epochs=1), num_shots=num_shots),
        data=data,
        resources=FitResources(run_dir=folder, cache_dir=cache, num_workers=1),
        backbone_dir=backbone,
        resume=False,
        begin=lambda _: lambda _: None,
    )
    return folder
