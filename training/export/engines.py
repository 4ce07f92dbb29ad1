"""The engines that a bundle must agree on, each as one function from named arrays to named arrays."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from service.contract.engine import open_core
from service.contract.golden import Arrays
from service.contract.graphs import GraphSpec
from service.contract.precision import Precision
from training.export.tracing import held_still

Run = Callable[[Arrays], dict[str, np.ndarray]]


def torch_engine(module: nn.Module, *, spec: GraphSpec) -> Run:
    """Run a live tower."""

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        with held_still(module):
            return _call(module, inputs, spec=spec)

    return run


def torchscript_engine(path: Path, *, spec: GraphSpec) -> Run:
    """Run a ``model.pt``."""
    with warnings.catch_warnings():
        # Torch says that TorchScript has a successor.
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.load(path)

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        with torch.no_grad():
            return _call(module, inputs, spec=spec)

    return run


def onnxruntime_engine(path: Path) -> Run:
    """Run a ``model.onnx`` in ONNX Runtime on the CPU."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, dict(inputs)), strict=True))


def openvino_engine(path: Path, *, precision: Precision) -> Run:
    """Run a ``model.onnx`` in OpenVINO on the CPU."""
    compiled = open_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    names = [output.get_any_name() for output in compiled.outputs]

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        results = compiled(dict(inputs))
        return {name: np.array(results[name]) for name in names}

    return run


def _call(module: nn.Module, inputs: Arrays, *, spec: GraphSpec) -> dict[str, np.ndarray]:
    results = module(*(torch.from_numpy(inputs[tensor.name]) for tensor in spec.inputs))
    results = results if isinstance(results, tuple) else (results,)
    return {tensor.name: result.numpy() for tensor, result in zip(spec.outputs, results, strict=True)}
