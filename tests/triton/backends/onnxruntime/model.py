"""Stands in for Triton's ONNX Runtime backend, which no package index carries: same platform name, same files.

It runs inside the server's Python stub, so it imports nothing of the project. Like the real one it refuses a model
whose tensors are not those of its configuration. A parameter ``shim_delay_seconds`` makes a model slow.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

if int(np.__version__.split(".")[0]) >= 2:
    # The stub of this server reads tensors of a newer numpy as zeros, without a word.
    raise ImportError(f"numpy {np.__version__} is installed; the server's Python stub needs numpy 1")

_TYPES = {"tensor(float)": "TYPE_FP32", "tensor(uint8)": "TYPE_UINT8", "tensor(int32)": "TYPE_INT32"}


class TritonPythonModel:
    """One model instance."""

    @staticmethod
    def auto_complete_config(config: "pb_utils.ModelConfig") -> "pb_utils.ModelConfig":
        """Add nothing: what the bundle says must be enough."""
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Open the version's file and compare its tensors with the configuration."""
        self._config = json.loads(args["model_config"])
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        if not path.is_file():
            raise pb_utils.TritonModelException(f"unable to find '{path}' for model '{self._config['name']}'")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._batches = self._config["max_batch_size"] > 0
        self._compare("input", self._session.get_inputs())
        self._compare("output", self._session.get_outputs())
        self._delay = float(self._config["parameters"].get("shim_delay_seconds", {}).get("string_value", "0"))

    def execute(self, requests: "list[pb_utils.InferenceRequest]") -> "list[pb_utils.InferenceResponse]":
        """Run all requests at once where the model batches, else one after another."""
        time.sleep(self._delay)
        names = [tensor["name"] for tensor in self._config["input"]]
        given = [
            {name: pb_utils.get_input_tensor_by_name(each, name).as_numpy() for name in names} for each in requests
        ]
        if not self._batches:
            return [self._respond(self._run(inputs)) for inputs in given]
        outputs = self._run({name: np.concatenate([each[name] for each in given]) for name in names})
        ends = np.cumsum([len(each[names[0]]) for each in given])[:-1]
        pieces = {name: np.split(array, ends) for name, array in outputs.items()}
        return [self._respond({name: own[row] for name, own in pieces.items()}) for row in range(len(requests))]

    def _run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [tensor["name"] for tensor in self._config["output"]]
        return dict(zip(names, self._session.run(names, inputs), strict=True))

    def _respond(self, outputs: dict[str, np.ndarray]) -> "pb_utils.InferenceResponse":
        tensors = [pb_utils.Tensor(name, np.ascontiguousarray(array)) for name, array in outputs.items()]
        return pb_utils.InferenceResponse(tensors)

    def _compare(self, kind: str, tensors: list[Any]) -> None:
        found = {tensor.name: (_TYPES.get(tensor.type), tensor.shape[int(self._batches) :]) for tensor in tensors}
        for wanted in self._config[kind]:
            dims = [int(size) for size in wanted["dims"]]
            datatype, shape = found.get(wanted["name"], (None, []))
            fits = len(shape) == len(dims) and all(
                size == (-1 if isinstance(own, str) else own) for size, own in zip(dims, shape, strict=True)
            )
            if datatype != wanted["data_type"] or not fits:
                raise pb_utils.TritonModelException(
                    f"{kind} '{wanted['name']}' is {wanted['data_type']} {dims} in the configuration; "
                    f"the model has {found}"
                )
