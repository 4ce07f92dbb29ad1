"""Towers that a run starts from: a backbone folder, or a fine-tuned run ("bridge and prompt", Rasheed et al. 2023).

A run of ``vificlip`` that is given as a backbone becomes one: its towers, now frozen, under the names of a CLIP, with
``bridge.json`` saying which run they come from. Its Chinese tower is left behind, for it was not tuned along.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import save_file
from torch import Tensor

from training.config.adapters import FineTuningConfig
from training.errors import RunError
from training.files.texts import render_json, write_text
from training.models.video_clip import Tokenizers
from training.runs.backbone import (
    BACKBONE_NAME,
    CLIP_NAME,
    SIZES_NAME,
    TOKENIZER_EN_NAME,
    Backbone,
    copy_backbone,
    read_backbone,
)
from training.runs.configs import dump_config, render_config
from training.runs.run import is_run, open_run

BRIDGE_NAME = "bridge.json"


def read_towers(source: Path) -> Backbone:
    """Read a backbone folder, or the towers of a fine-tuned run.

    Raises:
        RunError: it is neither, or a file is missing or broken.
    """
    if not is_run(source):
        return read_backbone(source)
    run = open_run(source)
    if not isinstance(run.recipe.model.adapters, FineTuningConfig):
        raise RunError(
            f"{source} is a run of {run.recipe.model.method}, but only one of vificlip has towers to go on "
            f"from; give its {BACKBONE_NAME} folder for the towers it started from"
        )
    model, own = run.load_model(), run.read_backbone()
    clip: dict[str, Tensor] = {f"visual.{name}": tensor for name, tensor in model.video.visual.state_dict().items()}
    clip |= model.english.state_dict()
    if model.logit_scale is not None:
        clip["logit_scale"] = model.logit_scale.data
    config = replace(own.config, chinese=None, bridged=True)
    return Backbone(config, clip, None, Tokenizers(own.tokenizers.english, None))


def copy_towers(source: Path, run_dir: Path) -> None:
    """Give a run its own copy of a backbone, or of the towers of a fine-tuned run; an equal copy is kept.

    Raises:
        RunError: the source is neither, or the run holds other towers.
    """
    if not is_run(source):
        copy_backbone(source, run_dir)
        return
    with TemporaryDirectory() as scratch:
        copy_backbone(_write_bridged(source, Path(scratch) / BACKBONE_NAME), run_dir)


def _write_bridged(source: Path, target: Path) -> Path:
    run, towers = open_run(source), read_towers(source)
    target.mkdir()
    save_file({name: tensor.contiguous().cpu() for name, tensor in towers.clip.items()}, target / CLIP_NAME)
    shutil.copyfile(run.backbone_dir / TOKENIZER_EN_NAME, target / TOKENIZER_EN_NAME)
    origin = {
        "recipe": dump_config(run.recipe),
        "training_data": run.data,
        "step": run.step,
    }
    write_text(target / BRIDGE_NAME, text=render_json(origin))
    write_text(target / SIZES_NAME, text=render_config(towers.config))
    return target
