"""The tiny bilingual CLIP of the demo: its sizes and its training from nothing."""

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer
from training.config.towers import ChineseTextConfig, ClipConfig
from training.demo.captions import list_phrases
from training.demo.pretrain import PretrainConfig, align_chinese, pretrain_clip
from training.demo.stills import draw_stills
from training.demo.vocabularies import train_chinese_tokenizer, train_english_tokenizer
from training.models.chinese_text import ChineseTextTower
from training.models.clip import CLIP, build_clip

NUM_MERGES = 350
NUM_STILLS = 32_000
CONTEXT_LENGTH = 77
CHINESE_LENGTH = 52
CLIP_PRETRAINING = PretrainConfig(num_steps=5000, batch_size=64, learning_rate=1.5e-3)
CHINESE_ALIGNMENT = PretrainConfig(num_steps=1500, batch_size=64, learning_rate=1.5e-3)


@dataclass(frozen=True)
class DemoTokenizers:
    """Hold the two tokenizer files of the demo."""

    english: Tokenizer
    chinese: Tokenizer


@dataclass(frozen=True)
class DemoTowers:
    """Hold the trained towers, frozen from now on."""

    clip: CLIP
    chinese: ChineseTextTower


def train_demo_tokenizers() -> DemoTokenizers:
    """Learn both vocabularies from the caption grammar; the same every time."""
    english, chinese = list_phrases()
    return DemoTokenizers(
        train_english_tokenizer(english, num_merges=NUM_MERGES),
        train_chinese_tokenizer(chinese),
    )


def demo_clip_config(tokenizer: Tokenizer) -> ClipConfig:
    """Return the size of the tiny CLIP for an English vocabulary."""
    return ClipConfig(
        embed_dim=128,
        quick_gelu=False,
        image_size_pixels=48,
        patch_size_pixels=12,
        vision_width=128,
        vision_layers=4,
        vision_heads=4,
        vocab_size=tokenizer.get_vocab_size(),
        context_length=CONTEXT_LENGTH,
        text_width=128,
        text_layers=2,
        text_heads=4,
    )


def demo_chinese_config(tokenizer: Tokenizer) -> ChineseTextConfig:
    """Return the size of the tiny Chinese tower for a vocabulary."""
    return ChineseTextConfig(
        embed_dim=128,
        vocab_size=tokenizer.get_vocab_size(),
        width=128,
        num_layers=2,
        num_heads=4,
        mlp_width=512,
        num_positions=CHINESE_LENGTH,
    )


def train_demo_towers(
    tokenizers: DemoTokenizers,
    *,
    seed: int,
    num_workers: int,
    num_stills: int = NUM_STILLS,
    clip_training: PretrainConfig = CLIP_PRETRAINING,
    chinese_training: PretrainConfig = CHINESE_ALIGNMENT,
) -> DemoTowers:
    """Pre-train the CLIP on stills with English captions, then align the Chinese tower to its image tower.

    Only the drawing of the stills uses `num_workers` processes; their number changes nothing in the result.
    """
    size = demo_clip_config(tokenizers.english)
    stills = draw_stills(num_stills, seed=seed, size_pixels=size.image_size_pixels, num_workers=num_workers)
    torch.manual_seed(seed)
    clip = build_clip(size)
    english = EnglishTokenizer(tokenizers.english, max_length=CONTEXT_LENGTH)
    pretrain_clip(clip, stills, tokenizer=english, config=clip_training, seed=seed)
    chinese = ChineseTextTower(demo_chinese_config(tokenizers.chinese))
    characters = ChineseTokenizer(tokenizers.chinese, max_length=CHINESE_LENGTH)
    align_chinese(chinese, stills, clip=clip, tokenizer=characters, config=chinese_training, seed=seed + 1)
    return DemoTowers(clip, chinese)
