"""Small towers in backbone folders, and files of labels, for released checkpoints to stand on."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from tests.training.tiny import CLIP, PREPROCESSING
from training.config.model import BackboneConfig
from training.config.towers import ClipConfig
from training.models.clip import build_clip
from training.models.tokenizers import build_english_tokenizer
from training.runs.backbone import write_backbone

CONFIG = replace(CLIP, vision_layers=3, text_layers=3)
LABELS = ("apply eye makeup", "waving (hand)", "tai-chi")


def draw_clip(seed: int, *, config: ClipConfig = CONFIG) -> dict[str, Tensor]:
    """Draw towers under CLIP's names, whose norms and biases have learnt something; half precision holds them exactly.

    OpenAI's towers are such.
    """
    torch.manual_seed(seed)
    tensors = build_clip(config).state_dict()
    learnt = {name: each + 0.1 * torch.randn_like(each) if each.ndim == 1 else each for name, each in tensors.items()}
    return {name: each.half().float() for name, each in learnt.items()}


def write_towers(directory: Path, clip: dict[str, Tensor], *, config: ClipConfig = CONFIG) -> Path:
    """Write a backbone folder without a Chinese tower."""
    write_backbone(
        directory,
        config=BackboneConfig(clip=config, chinese=None, preprocessing=PREPROCESSING),
        clip=clip,
        chinese=None,
        tokenizer_en=build_english_tokenizer([]),
        tokenizer_zh=None,
    )
    return directory


def write_labels(path: Path, *names: str) -> Path:
    """Write a table of labels, each with a Chinese name."""
    rows = [f"{index},{name},标签{index}" for index, name in enumerate(names)]
    path.write_text("\n".join(["id,en,zh", *rows]) + "\n", encoding="utf-8")
    return path
