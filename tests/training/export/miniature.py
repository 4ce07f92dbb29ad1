"""A miniature bilingual model with tokenizers, and what a bundle of it says."""

import torch

from service.contract.labels import Label
from service.contract.manifest import Lambda, Preprocessing, Provenance
from service.contract.tokenizer import CLS, SEP, UNKNOWN, ChineseTokenizer, EnglishTokenizer
from training.config import CLIP_MEAN, CLIP_STD, ChineseTextConfig, ClipConfig, ModelConfig, TemporalPromptConfig
from training.models.builders import build_model
from training.models.tokenizers import build_chinese_tokenizer, build_english_tokenizer
from training.models.video_clip import Tokenizers, VideoCLIP

ENGLISH_LENGTH, CHINESE_LENGTH = 32, 12
CHARACTERS = "圆形向左右移动方放大"
LABELS = (Label("a circle moves left", "圆形向左移动"), Label("a square grows", "方形放大"), Label("waving", "右"))
FUSION = Lambda(value=0.5, chosen="default")
PROVENANCE = Provenance(
    recipe="miniature",
    config={},
    training_data={},
    metrics=(),
    package_versions={"duoact": "0.1.0"},
    git_commit=None,
)


def build_miniature(*, chinese: bool = True) -> VideoCLIP:
    """Two layers of width 32 everywhere, with a beta that is not zero and batch norms that have seen data."""
    torch.manual_seed(0)
    vocabulary = ["[PAD]", UNKNOWN, CLS, SEP, *CHARACTERS]
    tokenizers = Tokenizers(
        EnglishTokenizer(build_english_tokenizer([("a", "n"), ("l", "e")]), max_length=ENGLISH_LENGTH),
        ChineseTokenizer(build_chinese_tokenizer(vocabulary), max_length=CHINESE_LENGTH) if chinese else None,
    )
    model = build_model(_config(len(vocabulary) if chinese else None), tokenizers=tokenizers)
    for name, values in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            values.uniform_(0.5, 1.5)
    return model


def _config(chinese_vocabulary_size: int | None) -> ModelConfig:
    return ModelConfig(
        clip=ClipConfig(
            embed_dim=16,
            quick_gelu=True,
            image_size_pixels=32,
            patch_size_pixels=16,
            vision_width=32,
            vision_layers=2,
            vision_heads=2,
            vocab_size=516,
            context_length=ENGLISH_LENGTH,
            text_width=32,
            text_layers=2,
            text_heads=2,
        ),
        chinese=None
        if chinese_vocabulary_size is None
        else ChineseTextConfig(
            embed_dim=16,
            vocab_size=chinese_vocabulary_size,
            width=32,
            num_layers=2,
            num_heads=2,
            mlp_width=64,
            num_positions=CHINESE_LENGTH,
        ),
        num_frames=4,
        temporal_prompts=TemporalPromptConfig(num_global_prompts=3, beta_width=8, zero_init_beta=False),
        preprocessing=Preprocessing(
            input_size=32,
            resize_rule="short_side",
            resize_size=36,
            interpolation="bicubic",
            crop_rule="centre",
            mean=CLIP_MEAN,
            std=CLIP_STD,
        ),
    )
