"""Multiply-accumulates of the video side, counted from the operations that torch runs on shapes alone."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from training.config.model import ModelConfig
from training.models.builders import build_model


def count_macs_per_view(config: ModelConfig) -> int:
    """Count the multiply-accumulates that encoding one view takes; no weights are allocated."""
    size = config.preprocessing.input_size
    with torch.device("meta"):
        encoder = build_model(config).video.eval()
        frames = torch.empty(1, *config.clip_shape, size, size, 3, dtype=torch.uint8)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(frames)
    return counter.get_total_flops() // 2
