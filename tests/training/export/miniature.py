"""The tiny model with nothing left at its start, and what a bundle of it says."""

from dataclasses import replace

import torch

from service.contract.labels import Label
from service.contract.manifest import Lambda, Provenance
from tests.training.tiny import MODEL, PROMPTS, tiny_tokenizers
from training.config.model import ModelConfig
from training.models.builders import build_model
from training.models.video_clip import VideoCLIP

LABELS = (Label("a circle moves left", "圆形向左移动"), Label("a square grows", "方形放大"), Label("waving", "右"))
FUSION = Lambda(value=0.5, chosen="default")
ENGLISH = Lambda(value=1.0, chosen="no Chinese branch")
PROVENANCE = Provenance(
    recipe="miniature",
    config={},
    training_data={},
    metrics=(),
    package_versions={"duoact": "0.1.0"},
    git_commit=None,
)
BILINGUAL = replace(MODEL, adapters=replace(PROMPTS, zero_init_beta=False))


def build_miniature(config: ModelConfig = BILINGUAL) -> VideoCLIP:
    """Build a model with tokenizers, a beta that is not zero and batch norms that have seen data."""
    torch.manual_seed(0)
    model = build_model(config, tokenizers=tiny_tokenizers())
    for name, values in model.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            values.uniform_(0.5, 1.5)
    return model
