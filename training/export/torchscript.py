"""A tower as TorchScript, for Triton's PyTorch backend: the second format; ONNX is the first."""

import io
import zipfile
from pathlib import Path

import torch
from torch import nn

from service.contract.graphs import GraphSpec
from training.export.tracing import example_inputs, traced

# Source positions: they hold paths of the machine that traced, and nothing reads them.
_DEBUG_SUFFIX = ".debug_pkl"


def export_torchscript(module: nn.Module, path: Path, *, spec: GraphSpec) -> None:
    """Write a tower as one frozen TorchScript file, with every axis that ``spec`` names dynamic.

    TorchScript has no tensor names. The arguments are the inputs of ``spec`` in order, ``INPUT__0``, ``INPUT__1``, and
    the results are its outputs in order, ``OUTPUT__0``, ``OUTPUT__1``.
    """
    buffer = io.BytesIO()
    with traced(module):
        script = torch.jit.trace(module, example_inputs(spec), check_trace=False)
        torch.jit.save(torch.jit.freeze(script), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(_DEBUG_SUFFIX):
                target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry))
