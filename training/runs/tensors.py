"""Tensors by name, on disk and in a model whose names and shapes they must match; loading is strict both ways."""

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.errors import RunError
from training.models.video_clip import VideoCLIP

Tensors = Mapping[str, Tensor]


def adapter_state(model: VideoCLIP) -> dict[str, Tensor]:
    """Everything that training changes: trainable parameters and the running statistics beside them."""
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def load_strictly(module: nn.Module, tensors: Tensors, *, source: str) -> None:
    """Load tensors into a module whose names and shapes they must match exactly.

    Raises:
        RunError: names every missing, unexpected and misshapen tensor.
    """
    if misfits := describe_misfits(tensors, expected=module.state_dict()):
        raise RunError(f"{source} does not fit the model. {misfits}")
    module.load_state_dict(dict(tensors))


def describe_misfits(tensors: Tensors, *, expected: Tensors) -> str:
    """Name every missing, unexpected and misshapen tensor, if there are any; ``expected`` may be without values."""
    problems = {
        "missing": sorted(set(expected) - set(tensors)),
        "unexpected": sorted(set(tensors) - set(expected)),
        "of another shape": [
            f"{name} is {tuple(tensors[name].shape)}, not {tuple(tensor.shape)}"
            for name, tensor in expected.items()
            if name in tensors and tensors[name].shape != tensor.shape
        ],
    }
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)


def save_tensors(tensors: Tensors, path: Path) -> None:
    """Write tensors to a file."""
    save_file({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}, path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors from a file.

    Raises:
        RunError: the file is missing or broken.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
