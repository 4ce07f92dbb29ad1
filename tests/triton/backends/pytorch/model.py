"""Stands in for Triton's PyTorch backend, which no package index carries: same platform name, same files.

It runs inside the server's Python stub, so it imports nothing of the project. Like the real one it counts tensors,
since TorchScript has no names: ``INPUT__0`` is the first argument, ``OUTPUT__0`` the first result.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One model instance."""

    @staticmethod
    def auto_complete_config(config: "pb_utils.ModelConfig") -> "pb_utils.ModelConfig":
        """Add nothing: what the bundle says must be enough."""
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the version's file."""
        torch.set_num_threads(1)
        self._config = json.loads(args["model_config"])
        for kind in ("input", "output"):
            names = [tensor["name"] for tensor in self._config[kind]]
            if names != [f"{kind.upper()}__{index}" for index in range(len(names))]:
                raise pb_utils.TritonModelException(f"{kind}s {names} are not counted as {kind.upper()}__0 onwards")
        self._batches = self._config["max_batch_size"] > 0
        path = Path(args["model_repository"], args["model_version"], "model.pt")
        self._module = torch.jit.load(path).eval()

    @torch.inference_mode()
    def execute(self, requests: "list[pb_utils.InferenceRequest]") -> "list[pb_utils.InferenceResponse]":
        """Run all requests at once where the model batches, else one after another."""
        names = [tensor["name"] for tensor in self._config["input"]]
        given = [
            [torch.from_numpy(pb_utils.get_input_tensor_by_name(each, name).as_numpy()) for name in names]
            for each in requests
        ]
        if not self._batches:
            return [self._respond(self._run(arguments)) for arguments in given]
        results = self._run([torch.cat(column) for column in zip(*given, strict=True)])
        sizes = [len(arguments[0]) for arguments in given]
        return [self._respond(row) for row in zip(*(result.split(sizes) for result in results), strict=True)]

    def _run(self, arguments: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
        results = self._module(*arguments)
        return results if isinstance(results, tuple) else (results,)

    def _respond(self, results: Sequence[torch.Tensor]) -> "pb_utils.InferenceResponse":
        names = [tensor["name"] for tensor in self._config["output"]]
        tensors = [pb_utils.Tensor(name, each.contiguous().numpy()) for name, each in zip(names, results, strict=True)]
        return pb_utils.InferenceResponse(tensors)
