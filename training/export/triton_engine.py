"""A Triton server as one more engine that a bundle must agree on."""

import numpy as np

from service.contract.errors import BundleError
from service.contract.golden import Arrays
from service.contract.graphs import GraphSpec
from service.contract.layout import GraphFormat
from training.export.engines import Run

_TIMEOUT_SECONDS = 60.0


def triton_engine(address: str, *, spec: GraphSpec, graph_format: GraphFormat) -> Run:
    """Run a model on the server whose gRPC endpoint is at ``host:port``, in the version of the bundle.

    Raises:
        BundleError: the client is not installed; or, when run, the server does not answer or has another model.
    """
    try:
        from tritonclient.grpc import InferenceServerClient, InferInput
        from tritonclient.utils import InferenceServerException, np_to_triton_dtype
    except ImportError as error:
        raise BundleError(f"the client of Triton is not installed ({error}); pip install 'duoact[triton]'") from error
    client, names = InferenceServerClient(address), spec.wire_names(graph_format)

    def run(inputs: Arrays) -> dict[str, np.ndarray]:
        tensors = [
            InferInput(names[name], list(array.shape), np_to_triton_dtype(array.dtype)).set_data_from_numpy(array)
            for name, array in inputs.items()
        ]
        try:
            result = client.infer(spec.name, tensors, model_version="1", client_timeout=_TIMEOUT_SECONDS)
        except InferenceServerException as error:
            raise BundleError(f"{spec.name} does not run on Triton at {address}: {error}") from error
        return {tensor.name: result.as_numpy(names[tensor.name]) for tensor in spec.outputs}

    return run
