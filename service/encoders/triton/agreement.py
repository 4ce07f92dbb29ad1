"""Whether a Triton server serves what a bundle's manifest describes: readiness, names, dtypes, shapes, version."""

from collections.abc import Iterable

from service.contract.errors import EncoderUnavailableError
from service.contract.graphs import GraphSpec, TensorSpec
from service.contract.layout import GraphFormat
from service.encoders.triton.connection import TritonConnection

_DATATYPES = {"uint8": "UINT8", "int32": "INT32", "float32": "FP32"}


async def check_agreement(
    connection: TritonConnection, *, spec: GraphSpec, graph_format: GraphFormat, version: str, timeout_seconds: float
) -> None:
    """Compare the server's model with the bundle's graph.

    Raises:
        EncoderUnavailableError: the model, or the version of it, is not ready, or is another one; the message shows
            both sides.
        InferenceServerException: the server does not answer.
    """
    client, named = connection.client, {"model_name": spec.name, "model_version": version}
    if not await client.is_model_ready(**named, client_timeout=timeout_seconds):
        is_server_ready = await client.is_server_ready(client_timeout=timeout_seconds)
        raise EncoderUnavailableError(
            f"{spec.name}{f' version {version}' if version else ''} is not ready on Triton, which itself is "
            f"{'ready' if is_server_ready else 'not ready'}; load the model there, or name the version it has"
        )
    metadata = await client.get_model_metadata(**named, client_timeout=timeout_seconds)
    names = spec.wire_names(graph_format)
    for kind, served, tensors in (
        ("inputs", metadata.inputs, spec.inputs),
        ("outputs", metadata.outputs, spec.outputs),
    ):
        found = _render((tensor.name, tensor.datatype, list(tensor.shape)) for tensor in served)
        expected = _render((names[tensor.name], _DATATYPES[tensor.dtype], _shape(tensor)) for tensor in tensors)
        if found != expected:
            raise EncoderUnavailableError(
                f"{spec.name} on Triton has the {kind} {found}, the bundle has {expected}; give both the same bundle"
            )


def _shape(tensor: TensorSpec) -> list[int]:
    return [axis if isinstance(axis, int) else -1 for axis in tensor.axes]


def _render(tensors: Iterable[tuple[str, str, list[int]]]) -> str:
    return ", ".join(f"{name} {datatype} {shape}" for name, datatype, shape in sorted(tensors))
