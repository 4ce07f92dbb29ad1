"""Files in the containers that released checkpoints come in, and the classes that are pickled inside them."""

import os
import pickle
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn


class CfgNode(dict[str, Any]):
    """A config as yacs pickles it: a mapping with attributes of its own."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__({key: CfgNode(each) if isinstance(each, dict) else each for key, each in values.items()})
        self.__dict__ |= {"__immutable__": True, "__deprecated_keys__": set(), "__renamed_keys__": {}}


class Payload:
    """What a hostile pickle calls."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


class Scripted(nn.Module):
    """A model to be traced: a parameter, a buffer, a part with tensors, and a mask that is neither."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        self.register_buffer("input_resolution", torch.tensor(224))
        self.norm = nn.LayerNorm(2)
        self.attn_mask = torch.full((2, 2), -torch.inf)

    def forward(self, values: Tensor) -> Tensor:
        return self.norm(values @ self.proj) + self.attn_mask + self.input_resolution


def as_yacs(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> CfgNode:
    """Make a config that pickles under the name of yacs, which need not be installed."""
    module = ModuleType("yacs.config")
    module.CfgNode = CfgNode  # type: ignore[attr-defined]
    for name in ("yacs", "yacs.config"):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(CfgNode, "__module__", "yacs.config")
    return CfgNode(values)


def write_zip(path: Path, value: Any) -> Path:  # noqa: ANN401
    """Write what torch saves today."""
    torch.save(value, path)
    return path


def write_legacy(path: Path, value: Any) -> Path:  # noqa: ANN401
    """Write what torch saved before 1.6."""
    torch.save(value, path, _use_new_zipfile_serialization=False)
    return path


def write_safetensors(path: Path, value: dict[str, Tensor]) -> Path:
    """Write tensors without anything else."""
    save_file(value, path)
    return path


def write_script(path: Path, model: nn.Module, *, example: Tensor) -> Path:
    """Write a TorchScript archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(model, example).save(str(path))
    return path


def write_pickle(path: Path, value: Any) -> Path:  # noqa: ANN401
    """Write a pickle that torch has nothing to do with."""
    path.write_bytes(pickle.dumps(value))
    return path
