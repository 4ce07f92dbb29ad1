"""What a run learned: ``checkpoint/<step>/`` with the adapters and, beside them, what resuming needs.

With a closed set of classes the run also holds ``classes.csv``, their names in the order of the logits.
"""

import shutil
from pathlib import Path
from typing import Any

import torch

from training.errors import RunError
from training.files.folders import begin_folder
from training.models.video_clip import VideoCLIP
from training.runs.tensors import Tensors, adapter_state, load_strictly, load_tensors, save_tensors

CHECKPOINT_NAME = "checkpoint"
CLASSES_NAME = "classes.csv"
_ADAPTERS, _STATE = "adapters.safetensors", "state.pt"


def write_checkpoint(run_dir: Path, *, adapters: Tensors, step: int, state: dict[str, Any]) -> None:
    """Write the adapters after ``step`` steps with what resuming needs, then remove older checkpoints."""
    target = run_dir / CHECKPOINT_NAME / f"{step:08d}"
    if target.exists():
        return
    unfinished = begin_folder(target)
    save_tensors(adapters, unfinished / _ADAPTERS)
    torch.save({"step": step, **state}, unfinished / _STATE)
    unfinished.rename(target)
    for other in target.parent.iterdir():
        if other != target:
            shutil.rmtree(other)


def has_checkpoint(run_dir: Path) -> bool:
    """Whether a run has come as far as a checkpoint."""
    return bool(_list_checkpoints(run_dir))


def latest_checkpoint(run_dir: Path) -> Path:
    """Find the checkpoint folder of a run.

    Raises:
        RunError: the run has none.
    """
    folders = _list_checkpoints(run_dir)
    if not folders:
        raise RunError(f"{run_dir} holds no checkpoint; give the folder that `duoact-train fit --out` wrote")
    return folders[-1]


def read_checkpoint(run_dir: Path, *, model: VideoCLIP) -> dict[str, Any]:
    """Load a run's adapters into its model and return what resuming needs, ``step`` included.

    Raises:
        RunError: there is no checkpoint, or a tensor is missing, unexpected or of another shape.
    """
    folder = latest_checkpoint(run_dir)
    tensors = load_tensors(folder / _ADAPTERS)
    frozen = {name: tensor for name, tensor in model.state_dict().items() if name not in adapter_state(model)}
    load_strictly(model, {**frozen, **tensors}, source=str(folder / _ADAPTERS))
    state: dict[str, Any] = torch.load(folder / _STATE, map_location="cpu", weights_only=True)
    return state


def _list_checkpoints(run_dir: Path) -> list[Path]:
    """List a run's checkpoint folders, the latest last."""
    return sorted((run_dir / CHECKPOINT_NAME).glob("[0-9]*"))
